"""Who may talk to the page: our own host names, our own origin, and the key where one is set."""

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from bot.core.errors import UserError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "easel"
_COOKIE_SECONDS = 365 * 24 * 3600
_ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

HEADERS = {
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


class Guard:
    """Checks each request before its handler. Other sites' pages and rebound names get nothing."""

    def __init__(self, *, host: str, token: str | None, public_url: str | None) -> None:
        """`host` is the address the server listens on. Raises `UserError` when anyone could reach it without a key."""
        if token is None and not _is_loopback(host):
            raise UserError(
                f"Serving the page on {host or 'every address'} needs WEB_TOKEN, so that only you can use it."
            )
        self._token = token
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else ""
        self._host = host.strip("[]").lower()

    def open(self, handler: Handler) -> Handler:
        """For files that say nothing about anyone: only the host is checked."""
        return self._guarded(handler, needs_token=False)

    def reading(self, handler: Handler) -> Handler:
        """For what only a person with the key may see."""
        return self._guarded(handler, needs_token=True)

    def writing(self, handler: Handler) -> Handler:
        """For what changes something: our own page must be asking."""

        async def checked(request: web.Request) -> web.StreamResponse:
            _require_own_page(request)
            return await handler(request)

        return self._guarded(checked, needs_token=True)

    def _guarded(self, handler: Handler, *, needs_token: bool) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._require_own_host(request)
                if needs_token and (refusal := self._without_key(request)) is not None:
                    response = refusal
                else:
                    response = await handler(request)
            except web.HTTPException as error:
                response = _as_json(error)
            if not response.prepared:
                for name, value in HEADERS.items():
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

    def _without_key(self, request: web.Request) -> web.StreamResponse | None:
        """The answer to someone who lacks the key; None when they have it or none is needed."""
        if self._token is None or _equal(request.cookies.get(COOKIE, ""), self._cookie(self._token)):
            return None
        given = request.query.get("token", "")
        if request.path != "/":
            raise web.HTTPUnauthorized(text="Open the page with its key first.")
        if not given or not _equal(given, self._token):
            raise web.HTTPUnauthorized(text="This page needs its key: open /?token=… with the value of WEB_TOKEN.")
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE,
            self._cookie(self._token),
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.host.lower() == self._public_host,
        )
        return response

    @staticmethod
    def _cookie(token: str) -> str:
        # Not the token itself: a leaked cookie file must not open the token's other doors.
        return hmac.new(token.encode(), b"easel page", hashlib.sha256).hexdigest()


def _require_own_page(request: web.Request) -> None:
    # A foreign page cannot set this header without asking us first (CORS), and we never say yes.
    if request.headers.get("X-Easel") != "1":
        raise web.HTTPForbidden(text="Only the page itself may do this.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise web.HTTPForbidden(text="Another site may not do this.")


def _as_json(error: web.HTTPException) -> web.Response:
    text = error.text or error.reason
    return web.json_response({"error": text}, status=error.status)


def _equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())


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


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
