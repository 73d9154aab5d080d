"""Guards the page's routes, and reads the page's requests within limits of size and of places in memory.

The guard lets own host names, own origin and known users in, and adds security headers to every response. The shape of
the bodies is checked.
"""

import asyncio
import ipaddress
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from bot.core.errors import Unavailable
from bot.core.invocations import Attachment
from bot.core.limits import UPLOAD_WAIT_SECONDS
from bot.core.people import User
from bot.core.text import mend_text
from bot.dispatch.declaration import OptionValue
from bot.platforms.web.auth import NO_STORE, Access, Authenticator, Handler, Route
from bot.platforms.web.files import read_assets

JSON_BYTES = 64 * 1024
UPLOAD_BYTES = 25 * 1024 * 1024  # composer.js refuses larger files before the upload
_MAX_FILES = 4
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_CHANNEL = re.compile(r"[A-Za-z0-9_-]{1,64}")

# An upload stands in memory as a whole: up to 25 MB each.
_MAX_CONCURRENT_UPLOADS = 4


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message of a user: words or a typed command, options of the command's form, and files by option name."""

    channel: str
    request_id: str
    text: str
    options: Mapping[str, OptionValue]
    files: Mapping[str, Attachment] = field(default_factory=dict)
    button: Mapping[str, Any] = field(default_factory=dict)
    """Of the form of a button: `action`, `job`, `n` and `message`, as in a press."""


async def read_message_request(request: web.Request, take_place: Callable[[], Awaitable[None]]) -> MessageRequest:
    """Read a JSON body, or multipart with the JSON as first part and then the files. Raise HTTP 400, 413 or 415.

    `take_place` is awaited before the first file, and may wait until there is memory for the files.
    """
    if not request.content_type.startswith("multipart/"):
        return _parse_message_request(await read_json(request), {})
    body, files = await read_files(request, lambda _: take_place())
    return _parse_message_request(body, files)


async def read_files(
    request: web.Request, take_place: Callable[[Mapping[str, Any]], Awaitable[None]]
) -> tuple[Mapping[str, Any], Mapping[str, Attachment]]:
    """Return the JSON and the files by name of a multipart body. Raise HTTP 400 or 413.

    `take_place` is awaited with the JSON before the first file.
    """
    _refuse_too_long(request, UPLOAD_BYTES + JSON_BYTES)
    try:
        return await _read_multipart(request, take_place)
    except (ValueError, AssertionError, HttpProcessingError) as error:  # aiohttp raises each for a broken body
        raise web.HTTPBadRequest(text="That upload arrived damaged. Please send it again.") from error


async def read_json(request: web.Request) -> dict[str, Any]:
    """Read a JSON object of at most `JSON_BYTES`. Raise HTTP 400, 413 or 415."""
    # JSON alone: other sites' pages may send forms without asking first (CORS), but not JSON.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Send JSON.")
    _refuse_too_long(request, JSON_BYTES)
    body = bytearray()
    # Chunked bodies have no Content-Length: count while reading.
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > JSON_BYTES:
            raise _build_too_large_error("That message is too long.")
    return _parse_object(bytes(body))


def parse_channel_name(value: object) -> str:
    """Return a channel's name without the user's prefix. Raise HTTP 400 for another form."""
    return _match_pattern(value, _CHANNEL, "channel")


def parse_request_id(value: object) -> str:
    """Return the page's id of a request: a repeated id is a repeated request. Raise HTTP 400 for another form."""
    return _match_pattern(value, _REQUEST_ID, "request_id")


def parse_text(body: Mapping[str, Any], name: str) -> str:
    """Return a text field of a body, "" if missing. Raise HTTP 400 for another type."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{name} must be text.")
    return mend_text(value)


async def _read_multipart(
    request: web.Request, take_place: Callable[[Mapping[str, Any]], Awaitable[None]]
) -> tuple[Mapping[str, Any], Mapping[str, Attachment]]:
    reader = await request.multipart()
    body: dict[str, Any] | None = None
    files: dict[str, Attachment] = {}
    left = UPLOAD_BYTES
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or len(files) >= _MAX_FILES:
            raise web.HTTPBadRequest(text=f"Send at most {_MAX_FILES} files at once.")
        if body is None:
            body = _parse_object(await _read_part(part, JSON_BYTES))
            await take_place(body)
            continue
        content = await _read_part(part, left)
        left -= len(content)
        files[part.name or ""] = _build_attachment(part, content)
    return body or {}, files


async def _read_part(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        content += chunk
        if len(content) > limit:
            raise _build_too_large_error(f"Files may have {UPLOAD_BYTES // 1024 // 1024} MB together.")
    return bytes(content)


def _build_attachment(part: BodyPartReader, content: bytes) -> Attachment:
    async def read() -> bytes:
        return content

    mime = part.headers.get("Content-Type", "application/octet-stream")
    return Attachment(name=part.filename or "file", mime=mime, size_bytes=len(content), read=read)


def _parse_message_request(body: Mapping[str, Any], files: Mapping[str, Attachment]) -> MessageRequest:
    options = body.get("options", {})
    if not isinstance(options, dict) or not all(
        isinstance(value, (str, int, float, bool)) for value in options.values()
    ):
        raise web.HTTPBadRequest(text="options must be text, numbers, or yes and no.")
    return MessageRequest(
        channel=parse_channel_name(body.get("channel")),
        request_id=parse_request_id(body.get("request_id")),
        text=parse_text(body, "text"),
        options=options,
        files=files,
        button=body,
    )


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:  # deeply nested arrays exhaust the parser's stack
        raise web.HTTPBadRequest(text="That is not JSON.") from error
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="That is not a JSON object.")
    return value


def _match_pattern(value: object, shape: re.Pattern[str], name: str) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise web.HTTPBadRequest(text=f"{name} is missing or not in its form.")
    return value


def _refuse_too_long(request: web.Request, limit: int) -> None:
    if (request.content_length or 0) > limit:
        raise _build_too_large_error("That is too large.")


def _build_too_large_error(text: str) -> web.HTTPException:
    return web.HTTPRequestEntityTooLarge(max_size=UPLOAD_BYTES, actual_size=UPLOAD_BYTES, text=text)


class UploadPlaces:
    """Admits uploads. A user's second upload waits for the first: no user takes all the places."""

    def __init__(self, wait_seconds: float = UPLOAD_WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(_MAX_CONCURRENT_UPLOADS)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, user_id: str) -> AsyncIterator[None]:
        """Hold a place. Raise HTTP 429 if none is free for too long."""
        lock = self._locks.setdefault(user_id, asyncio.Lock())
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await stack.enter_async_context(lock)
                    await stack.enter_async_context(self._places)
            except TimeoutError as error:
                text = "Other files are still on their way. Please send yours again in a minute."
                raise web.HTTPTooManyRequests(text=text) from error
            yield


# The guard.

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
