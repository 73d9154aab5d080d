"""The door that asks for an invitation or the page's key. On this machine alone, it stands open until one is given."""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bot.core.errors import UserError
from bot.core.people import Rank, User
from bot.platforms.web import request_parsing
from bot.platforms.web.auth import NO_STORE, RequestGuard, build_owner, build_user, set_cookie
from bot.platforms.web.users import WebUserAdmin, WebUsers

SESSION_COOKIE = "easel"


class InvitationAuthenticator:
    """Implements `Door`. `token` is the owner's key; `key_file` is where the invite verb finds its own."""

    switchable_users: Sequence[User] = ()

    def __init__(
        self,
        visitors: WebUsers,
        *,
        host: str,
        token: str | None = None,
        public_url: str | None = None,
        key_file: Path | None = None,
    ) -> None:
        self._visitors = visitors
        self._host = host
        self._token = token
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else ""
        self._administration = WebUserAdmin(visitors, key_file)

    async def authenticate(self, request: web.Request) -> User | None:
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if self._token is not None and _is_equal(cookie, _derive_cookie(self._token)):
            return build_owner()
        visitor = await self._visitors.get_by_cookie(cookie)
        if visitor is not None:
            return build_user(visitor.id, visitor.name, visitor.rank)
        return build_owner() if await self._is_open() else None

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        """`/?token=…` opens the page for its owner, and leaves the address."""
        given = request.query.get("token", "")
        if self._token is None or not given or not _is_equal(given, self._token):
            return None
        response = web.Response(status=303, headers={"Location": "/", **NO_STORE})
        set_cookie(response, SESSION_COOKIE, _derive_cookie(self._token), is_https=self._is_https(request))
        return response

    def routes(self, guard: RequestGuard) -> list[web.RouteDef]:
        return [web.post("/api/join", guard.guard_join(self._join)), *self._administration.routes(guard)]

    async def check(self) -> None:
        if self._token is None and not is_loopback(self._host) and not await self._visitors.has_users():
            raise UserError(
                f"Serving the page on {self._host or 'every address'} needs WEB_TOKEN, or an invitation first: "
                "`python -m bot web invite NAME --owner`."
            )

    async def open(self, address: str) -> None:
        self._administration.write_key(address)

    async def close(self) -> None:
        self._administration.remove_key()

    async def _is_open(self) -> bool:
        # With a public name, a proxy may stand before us whose requests all seem to come from this machine.
        if self._token is not None or self._public_host or not is_loopback(self._host):
            return False
        return not await self._visitors.has_users()

    async def _join(self, request: web.Request) -> web.StreamResponse:
        invitation = request_parsing.parse_text(await request_parsing.read_json(request), "invitation")
        cookie = await self._visitors.join(invitation)
        if cookie is None:
            raise web.HTTPForbidden(text="That invitation was used, has expired, or never was. Please ask for another.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        set_cookie(response, SESSION_COOKIE, cookie, is_https=self._is_https(request))
        return response

    def _is_https(self, request: web.Request) -> bool:
        return bool(self._public_host) and request.host.lower() == self._public_host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _derive_cookie(token: str) -> str:
    # Not the token itself: a leaked cookie file must not open the token's other doors.
    return hmac.new(token.encode(), b"easel page", hashlib.sha256).hexdigest()


def _is_equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())


# MERGED The door of the demo: everybody is its owner, or whom they choose to be.

DEMO_COOKIE = "easel-demo"  # cookies know no port: the demo must not change who somebody is on a real page beside it


class DemoAuthenticator:
    """Implements `Door`, for a page that only this machine can reach and where nothing is worth keeping."""

    def __init__(self) -> None:
        self.switchable_users: Sequence[User] = (build_owner(), build_user("mia", "Mia", Rank.USER))

    async def authenticate(self, request: web.Request) -> User | None:
        chosen = request.cookies.get(DEMO_COOKIE, "")
        return next((user for user in self.switchable_users if user.id == chosen), self.switchable_users[0])

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        return None

    def routes(self, guard: RequestGuard) -> list[web.RouteDef]:
        return [web.post("/api/switch", guard.guard_write(self._switch))]

    async def check(self) -> None:
        """The demo listens on this machine only."""

    async def open(self, address: str) -> None:
        """Nobody has to be told."""

    async def close(self) -> None:
        """Nothing to take back."""

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        to = request_parsing.parse_text(await request_parsing.read_json(request), "to")
        if to not in {user.id for user in self.switchable_users}:
            raise web.HTTPBadRequest(text="There is nobody of that name in the demo.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        set_cookie(response, DEMO_COOKIE, to, is_https=False)
        return response
