"""Who is asking: what the page needs to know of whoever decides that."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from bot.core.errors import Unavailable
from bot.core.people import Rank, User
from bot.platforms.web.assets import read_assets

NAME = "web"
WORKSPACE = "page"

_COOKIE_SECONDS = 365 * 24 * 3600
OWNER_ID = "owner"


class Authenticator(Protocol):
    """Tells people apart. One door asks for invitations, another lets everybody choose."""

    @property
    def switchable_users(self) -> Sequence[User]:
        """Whom the person may turn into; empty except where everything is for trying out."""
        ...

    async def authenticate(self, request: web.Request) -> User | None:
        """The person behind a request; None for a stranger."""
        ...

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        """What a stranger gets instead of the page, if they brought something that opens it."""
        ...

    def routes(self, guard: "RequestGuard") -> list[web.RouteDef]:
        """The door's own routes."""
        ...

    async def check(self) -> None:
        """Raises `UserError` when the page must not be served like this."""
        ...

    async def open(self, address: str) -> None:
        """The page is served at this address."""
        ...

    async def close(self) -> None:
        """The page is not served any more."""
        ...


def build_user(id_: str, name: str, rank: Rank) -> User:
    """Somebody on the page. What they may do is known here, and not by the settings."""
    return User(NAME, WORKSPACE, id_, name, is_administrator=rank >= Rank.MODERATOR, is_owner=rank is Rank.OWNER)


def build_owner() -> User:
    """Whoever holds the page's key, or sits at this machine while nobody is invited."""
    return build_user(OWNER_ID, "You", Rank.OWNER)


def set_cookie(response: web.StreamResponse, name: str, value: str, *, is_https: bool) -> None:
    """No script can read it, and no other site's page can have it sent."""
    response.set_cookie(name, value, max_age=_COOKIE_SECONDS, httponly=True, samesite="Strict", secure=is_https)


NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}


# MERGED Who may talk to the page: by our own host names, from our own origin, and whom the door knows.

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "trusted-types 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "Easel",
}
"""On every answer."""


REQUEST_USER = web.RequestKey("user", User)
"""Who asks, on every request that was let in."""


class RequestGuard:
    """Checks each request before its handler. Other sites' pages and rebound names get nothing, strangers the door."""

    def __init__(self, door: Authenticator, *, host: str, public_url: str | None) -> None:
        """`host` is the address the server listens on."""
        self._authenticator = door
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else ""
        self._host = host.strip("[]").lower()
        self._login_page = read_assets()["door.html"]

    def guard_public(self, handler: Handler) -> Handler:
        """For files that say nothing about anyone: only the host is checked."""
        return self._wrap(handler)

    def guard_read(self, handler: Handler) -> Handler:
        """For what only people of the page may see."""

        async def checked(request: web.Request) -> web.StreamResponse:
            user = await self._authenticator.authenticate(request)
            if user is None:
                return await self._refusal(request)
            request[REQUEST_USER] = user
            return await handler(request)

        return self._wrap(checked)

    def guard_write(self, handler: Handler) -> Handler:
        """For what changes something: our own page must be asking, for somebody we know."""

        async def checked(request: web.Request) -> web.StreamResponse:
            _require_own_page(request)
            return await handler(request)

        return self.guard_read(checked)

    def guard_join(self, handler: Handler) -> Handler:
        """For a stranger with an invitation, on our own page."""

        async def checked(request: web.Request) -> web.StreamResponse:
            _require_own_page(request)
            return await handler(request)

        return self._wrap(checked)

    def serve_login_page(self) -> web.Response:
        """What says how to come in, and turns an invitation into a cookie."""
        headers = {"Content-Type": self._login_page.mime, **NO_STORE}
        return web.Response(body=self._login_page.body, headers=headers)

    async def _refusal(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/":
            raise web.HTTPUnauthorized(text="This page is by invitation. Open the link you were given first.")
        response = await self._authenticator.login(request)
        if response is None:
            response = self.serve_login_page()
            response.set_status(401)
        return response

    def _wrap(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._require_own_host(request)
                response = await handler(request)
            except web.HTTPException as error:
                response = _error_to_json(error)
            except Unavailable as error:
                response = _error_to_json(web.HTTPServiceUnavailable(text=str(error)))
            if not response.prepared:
                for name, value in SECURITY_HEADERS.items():
                    response.headers.setdefault(name, value)
            return response

        return guarded

    def _require_own_host(self, request: web.Request) -> None:
        # DNS rebinding: a foreign name that resolves to this machine arrives with that name as its Host.
        asked = request.host.lower()
        if self._public_host and asked == self._public_host:
            return
        name, port = _split(asked)
        if port == _port_of(request) and (name in _LOOPBACK_NAMES or self._is_bound_to(name)):
            return
        raise web.HTTPForbidden(text="This page is not served under that name.")

    def _is_bound_to(self, name: str) -> bool:
        # Rebinding needs a name, so an address in figures is safe where we listen on all of them.
        return name == self._host or (self._host in _ANYWHERE and _is_address(name))


def _require_own_page(request: web.Request) -> None:
    # A foreign page cannot set this header without asking us first (CORS), and we never say yes.
    if request.headers.get("X-Easel") != "1":
        raise web.HTTPForbidden(text="Only the page itself may do this.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden(text="Another site may not do this.")


def _error_to_json(error: web.HTTPException) -> web.Response:
    text = error.text or error.reason
    return web.json_response({"error": text}, status=error.status)


def _split(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port or 80
    except ValueError:
        return "", 0


def _port_of(request: web.Request) -> int:
    address = request.transport.get_extra_info("sockname") if request.transport else None
    return int(address[1]) if address else 0


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
