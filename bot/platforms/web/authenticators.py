"""Authenticators of the page: by invitation or the owner's key, and for the demo by the person's own choice."""

import hashlib
import hmac
import ipaddress
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bot.core import limits
from bot.core.errors import UserError
from bot.core.people import Rank, User
from bot.core.token_bucket import TokenBucket
from bot.platforms.web import request_parsing
from bot.platforms.web.auth import (
    NO_STORE,
    Access,
    Route,
    build_owner,
    build_user,
    is_request_forwarded,
    set_cookie,
)
from bot.platforms.web.users import WebUserAdmin, WebUsers

log = logging.getLogger(__name__)

SESSION_COOKIE = "easel"
# Cookies know no port: a demo beside a real page must not change the real page's user.
DEMO_COOKIE = "easel-demo"


class InvitationAuthenticator:
    """Implements `Authenticator`. On this machine alone, the page stands open to the owner until the first invitation.

    A request through a proxy is never the open page's owner: a proxy on this machine serves other machines.
    `token` is the owner's key; `key_file` holds the secret of the `web` verb while the page is served.
    """

    switchable_users: Sequence[User] = ()

    def __init__(
        self,
        users: WebUsers,
        *,
        host: str,
        token: str | None = None,
        public_url: str | None = None,
        key_file: Path | None = None,
    ) -> None:
        self._users = users
        self._host = host
        self._token = token
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else ""
        self._admin = WebUserAdmin(users, key_file)
        self._guesses = TokenBucket(
            users.clock.monotonic, burst=limits.TOKEN_GUESS_BURST, per_second=1 / limits.TOKEN_GUESS_SECONDS
        )

    async def authenticate(self, request: web.Request) -> User | None:
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if self._token is not None and cookie and _is_equal(cookie, await self._derive_cookie(self._token)):
            return build_owner()
        visitor = await self._users.get_by_cookie(cookie)
        if visitor is not None:
            return build_user(visitor.id, visitor.name, visitor.rank)
        return build_owner() if await self._is_open(request) else None

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        """Exchange `/?token=…` for the owner's cookie, and redirect to an address without the token.

        Raise HTTP 429 after too many wrong tokens: the owner's own browsers have a cookie, and go on.
        """
        token = request.query.get("token", "")
        if self._token is None or not token or (self._is_token_short and is_request_forwarded(request)):
            return None
        seconds = math.ceil(self._guesses.seconds_until_available())
        if seconds > 0:
            text = f"Too many wrong keys were tried. Please try again in {seconds} seconds."
            raise web.HTTPTooManyRequests(text=text)
        if not _is_equal(token, self._token):
            self._guesses.take()
            log.warning("web.token_refused", extra={"peer": request.remote})
            return None
        response = web.Response(status=303, headers={"Location": "/", **NO_STORE})
        set_cookie(response, SESSION_COOKIE, await self._derive_cookie(self._token), is_https=self._is_https(request))
        return response

    def routes(self) -> list[Route]:
        return [Route("POST", "/api/join", Access.OWN_PAGE, self._join), *self._admin.routes()]

    async def check(self) -> None:
        is_reached = bool(self._public_host) or not _is_loopback(self._host)
        if is_reached and self._is_token_short:
            raise UserError(
                f"WEB_TOKEN is too short for a page that other machines reach: give at least "
                f"{limits.MIN_WEB_TOKEN_CHARACTERS} characters, such as `openssl rand -hex 16` prints."
            )
        if self._token is None and not _is_loopback(self._host) and not await self._users.list_users():
            raise UserError(
                f"Serving the page on {self._host or 'every address'} needs WEB_TOKEN, or an invitation first: "
                "`python -m bot web invite NAME --owner`."
            )

    async def open(self, address: str) -> None:
        self._admin.write_key(address)

    async def close(self) -> None:
        self._admin.remove_key()

    @property
    def _is_token_short(self) -> bool:
        return self._token is not None and len(self._token) < limits.MIN_WEB_TOKEN_CHARACTERS

    async def _is_open(self, request: web.Request) -> bool:
        # A public name means a proxy, perhaps on this machine: every request would seem to come from here.
        if self._token is not None or self._public_host or not _is_loopback(self._host):
            return False
        if is_request_forwarded(request) or not _is_loopback(request.remote or ""):
            return False
        return not await self._users.was_invited()

    async def _derive_cookie(self, token: str) -> str:
        # Not the token itself: a leaked cookie file must not reveal a secret that people may use elsewhere too. With a
        # random text of the database, a cookie cannot be computed from a guessed token, past the limit of guesses.
        secret = await self._users.get_cookie_secret()
        return hmac.new(token.encode(), f"easel page {secret}".encode(), hashlib.sha256).hexdigest()

    async def _join(self, request: web.Request) -> web.StreamResponse:
        invitation = request_parsing.parse_text(await request_parsing.read_json(request), "invitation")
        cookie = await self._users.join(invitation)
        if cookie is None:
            raise web.HTTPForbidden(text="That invitation was used, has expired, or never was. Please ask for another.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        set_cookie(response, SESSION_COOKIE, cookie, is_https=self._is_https(request))
        return response

    def _is_https(self, request: web.Request) -> bool:
        # `public_url` is https; the bot itself serves http.
        return bool(self._public_host) and request.host.lower() == self._public_host


class DemoAuthenticator:
    """Implements `Authenticator` for a page on this machine alone: the person chooses a user, the owner by default."""

    def __init__(self) -> None:
        self.switchable_users: Sequence[User] = (build_owner(), build_user("mia", "Mia", Rank.USER))

    async def authenticate(self, request: web.Request) -> User | None:
        # A proxy on this machine, such as a forwarded port of a cloud desktop, would make any stranger the owner.
        if is_request_forwarded(request):
            return None
        chosen = request.cookies.get(DEMO_COOKIE, "")
        return next((user for user in self.switchable_users if user.id == chosen), self.switchable_users[0])

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        return None

    def routes(self) -> list[Route]:
        return [Route("POST", "/api/switch", Access.WRITE, self._switch)]

    async def check(self) -> None:
        """The demo listens on this machine alone."""

    async def open(self, address: str) -> None: ...

    async def close(self) -> None: ...

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        user_id = request_parsing.parse_text(await request_parsing.read_json(request), "to")
        if user_id not in {user.id for user in self.switchable_users}:
            raise web.HTTPBadRequest(text="There is nobody of that name in the demo.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        set_cookie(response, DEMO_COOKIE, user_id, is_https=False)
        return response


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_equal(text: str, secret: str) -> bool:
    # Constant time: the duration must not reveal how much of a guess is right.
    return hmac.compare_digest(text.encode("utf-8", "replace"), secret.encode())
