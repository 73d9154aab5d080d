"""Guards the page's routes: own host names, own origin, known users, and security headers on every response."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

from bot.core.errors import Unavailable
from bot.core.people import User
from bot.platforms.web.auth import NO_STORE, Access, Authenticator, Handler, Route
from bot.platforms.web.files import read_assets

REQUEST_USER = web.RequestKey("user", User)
"""The user of a request, set for the levels READ and WRITE."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "trusted-types 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "Easel",
}

_WILDCARD_HOSTS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class RequestGuard:
    """Checks each request before the handler. A stranger gets the login page at `/` and a refusal elsewhere."""

    def __init__(self, authenticator: Authenticator, *, host: str, public_url: str | None) -> None:
        """`host` is the address of the server's socket."""
        self._authenticator = authenticator
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else ""
        self._host = host.strip("[]").lower()
        self._login_page = read_assets()["login.html"]

    def protect(self, routes: Sequence[Route]) -> list[web.RouteDef]:
        """Return the routes for the server, each with the checks of the route's access level."""
        return [web.route(route.method, route.path, self._wrap(route)) for route in routes]

    def serve_login_page(self) -> web.Response:
        """Return the page that explains how to get in, and exchanges an invitation for a cookie."""
        headers = {"Content-Type": self._login_page.mime, **NO_STORE}
        return web.Response(body=self._login_page.body, headers=headers)

    def _wrap(self, route: Route) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response = await self._check_and_handle(request, route)
            except web.HTTPException as error:
                response = _error_to_json(error)
            except Unavailable as error:
                response = _error_to_json(web.HTTPServiceUnavailable(text=str(error)))
            # A prepared response, such as an event stream, has sent the headers already.
            if not response.prepared:
                for name, value in SECURITY_HEADERS.items():
                    response.headers.setdefault(name, value)
            return response

        return guarded

    async def _check_and_handle(self, request: web.Request, route: Route) -> web.StreamResponse:
        self._require_own_host(request)
        # The user first: a stranger learns no more than that the page needs an invitation.
        if route.access in (Access.READ, Access.WRITE):
            user = await self._authenticator.authenticate(request)
            if user is None:
                return await self._refuse_stranger(request)
            request[REQUEST_USER] = user
        if route.access in (Access.OWN_PAGE, Access.WRITE):
            _require_own_page(request)
        return await route.handler(request)

    async def _refuse_stranger(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/":
            raise web.HTTPUnauthorized(text="This page is by invitation. Open the link you were given first.")
        response = await self._authenticator.login(request)
        if response is None:
            response = self.serve_login_page()
            response.set_status(401)
        return response

    def _require_own_host(self, request: web.Request) -> None:
        # DNS rebinding: a foreign name that resolves to this machine arrives with the foreign name as Host.
        host = request.host.lower()
        if self._public_host and host == self._public_host:
            return
        name, port = _split_host(host)
        if port == _get_server_port(request) and (name in _LOOPBACK_NAMES or self._is_bound_to(name)):
            return
        raise web.HTTPForbidden(text="This page is not served under that name.")

    def _is_bound_to(self, name: str) -> bool:
        # Rebinding needs a name: on a wildcard host any numeric address is safe.
        return name == self._host or (self._host in _WILDCARD_HOSTS and _is_address(name))


def _require_own_page(request: web.Request) -> None:
    # CORS: another site's page needs our permission to send this header, and we never give permission.
    if request.headers.get("X-Easel") != "1":
        raise web.HTTPForbidden(text="Only the page itself may do this.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden(text="Another site may not do this.")


def _error_to_json(error: web.HTTPException) -> web.Response:
    return web.json_response({"error": error.text or error.reason}, status=error.status)


def _split_host(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port or 80
    except ValueError:
        return "", 0


def _get_server_port(request: web.Request) -> int:
    # The socket's own port: the settings' port may be 0, or taken and counted up.
    address = request.transport.get_extra_info("sockname") if request.transport else None
    return int(address[1]) if address else 0


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
