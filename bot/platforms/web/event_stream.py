"""GET /api/events: one conversation as server-sent events, and how many a person may hold open."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from bot.platforms.web.auth import SECURITY_HEADERS, Authenticator
from bot.platforms.web.feed import FeedChange, FeedReader, format_sse_event
from bot.platforms.web.platform import WebPlatform

STREAMS_PER_PERSON = 64
PING_SECONDS = 15.0
_WRITE_SECONDS = 60.0
_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class EventStreams:
    """Holds the open streams. A reader who stalls is let go, and comes back where they were."""

    def __init__(
        self,
        platform: WebPlatform,
        door: Authenticator,
        *,
        streams_per_person: int = STREAMS_PER_PERSON,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._platform = platform
        self._authenticator = door
        self._streams_per_person = streams_per_person
        self._ping_seconds = ping_seconds
        self._seats: dict[str, set[asyncio.BaseTransport | None]] = {}
        self._handlers: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request, person: str, channel: str) -> web.StreamResponse:
        """Everything once, or what changed since `Last-Event-ID`; then each change as it comes."""
        seat = self._reserve_stream(request, person)
        response = web.StreamResponse(headers=_HEADERS)
        try:
            task = asyncio.create_task(self._write_all(request, response, channel))
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
            await task
        except (ConnectionError, TimeoutError):
            pass  # the reader went away, or stalled for too long
        finally:
            self._seats[person].discard(seat)
        return response

    async def stop(self) -> None:
        """Say goodbye on every stream, and wait until that is written."""
        self._platform.feed.close_all()
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=2)

    def _reserve_stream(self, request: web.Request, person: str) -> asyncio.BaseTransport | None:
        seats = self._seats.setdefault(person, set())
        # A reader who left is noticed at the next write only, so look before refusing.
        seats -= {seat for seat in seats if seat is None or seat.is_closing()}
        if len(seats) >= self._streams_per_person:
            raise web.HTTPTooManyRequests(text="This page is open in too many windows. Close one and reload.")
        seats.add(request.transport)
        return request.transport

    async def _write_all(self, request: web.Request, response: web.StreamResponse, channel: str) -> None:
        await response.prepare(request)
        stream = self._platform.feed.open(channel)
        try:
            seen = request.headers.get("Last-Event-ID") or request.query.get("after", "")
            await _write(response, await self._build_first_events(stream, channel, seen))
            while not stream.is_closed:
                await _write(response, await self._build_next_events(request, stream, channel))
            await _write(response, b"event: bye\ndata: {}\n\n")
        finally:
            self._platform.feed.close(channel, stream)

    async def _build_first_events(self, stream: FeedReader, channel: str, seen: str) -> bytes:
        position = self._platform.feed.position
        missed = self._platform.feed.get_changes_since(channel, seen) if seen else None
        if missed is None:
            return format_sse_event(
                "snapshot", stream.take_snapshot(await self._platform.list_messages(channel)), position
            )
        return _join_events(stream, missed, position) or f"id: {position}\n\n".encode()

    async def _build_next_events(self, request: web.Request, stream: FeedReader, channel: str) -> bytes:
        changed = await stream.wait_for_changes(self._ping_seconds)
        if not changed:
            if await self._authenticator.authenticate(request) is None:  # removed by another process
                stream.close()
            return b"" if stream.is_closed else b": ping\n\n"
        feed = self._platform.feed
        position = feed.position
        messages = [message for message_id in changed if (message := feed.get(channel, message_id)) is not None]
        if len(messages) < len(changed):  # so far behind that some are only in the database
            return format_sse_event(
                "snapshot", stream.take_snapshot(await self._platform.list_messages(channel)), position
            )
        return _join_events(stream, messages, position)


def _join_events(stream: FeedReader, messages: Sequence[FeedChange], position: str) -> bytes:
    events = [event for message in messages if (event := stream.build_event(message)) is not None]
    # Only the last one names the position: who loses the line half-way must ask for all of these again.
    return b"".join(events[:-1]) + f"id: {position}\n".encode() + events[-1] if events else b""


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    if chunk:
        async with asyncio.timeout(_WRITE_SECONDS):
            await response.write(chunk)
