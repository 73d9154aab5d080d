"""Reads the page's requests within limits of size and of places in memory, and checks the shape of the bodies."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from bot.core.invocations import Attachment
from bot.core.limits import UPLOAD_WAIT_SECONDS
from bot.core.text import mend_text
from bot.dispatch.declaration import OptionValue

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
