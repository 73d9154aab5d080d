"""GET /api/events: a conversation as server-sent events, with a limit of open streams per user."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.fair_queue import FairQueue
from bot.platforms.web.auth import Authenticator
from bot.platforms.web.feed import FeedChange, FeedReader, format_sse_event
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.request_parsing import REQUEST_USER, SECURITY_HEADERS

STREAMS_PER_USER = 64
PING_SECONDS = 15.0
_WRITE_SECONDS = 60.0
_GOODBYE_SECONDS = 2.0
_MAX_CONCURRENT_SNAPSHOTS = 2
# Windows of one conversation that open together share a snapshot, for as long as another process's change may wait.
_RECENT_SNAPSHOTS = 2
_RECENT_SECONDS = 1.0
# The socket's buffer holds what is written and not yet sent: a copy of the piece, not of a whole snapshot.
_PIECE_BYTES = 64 * 1024
_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx collects responses otherwise, and delays every event
}


class EventStreams:
    """The open streams. A stalled browser loses the stream, and later continues from the last seen event."""

    def __init__(
        self,
        platform: WebPlatform,
        authenticator: Authenticator,
        *,
        streams_per_user: int = STREAMS_PER_USER,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._platform = platform
        self._authenticator = authenticator
        self._streams_per_user = streams_per_user
        self._ping_seconds = ping_seconds
        self._transports: dict[str, set[asyncio.BaseTransport | None]] = {}
        self._tasks = BackgroundTasks("web")
        # By user: the many windows of one user must not delay another user's only window.
        self._recent = RecentItems[str, tuple[object, float, bytes]](_RECENT_SNAPSHOTS)
        self._snapshots = FairQueue(_MAX_CONCURRENT_SNAPSHOTS)

    async def serve(self, request: web.Request, user_id: str, channel: str) -> web.StreamResponse:
        """Send a snapshot, or the changes since `Last-Event-ID`; then each change until a side closes the stream.

        Raise HTTP 429 if the user has too many open streams.
        """
        # HEAD asks for the headers of GET (RFC 9110, 9.3.2): a stream without words would only hold a connection.
        if request.method == "HEAD":
            return web.Response(headers=_HEADERS)
        transport = self._reserve_stream(request, user_id)
        response = web.StreamResponse(headers=_HEADERS)
        try:
            # A task of ours: `stop` waits until the goodbye is written.
            await self._tasks.spawn(self._write_all(request, response, channel), "stream")
        finally:
            self._transports[user_id].discard(transport)
        return response

    async def stop(self) -> None:
        """End every stream with a goodbye, and wait up to two seconds."""
        self._platform.feed.close_all()
        await self._tasks.drain(_GOODBYE_SECONDS)

    def _reserve_stream(self, request: web.Request, user_id: str) -> asyncio.BaseTransport | None:
        transports = self._transports.setdefault(user_id, set())
        # The next write would notice a closed browser: look before refusing.
        transports -= {transport for transport in transports if transport is None or transport.is_closing()}
        if len(transports) >= self._streams_per_user:
            raise web.HTTPTooManyRequests(text="This page is open in too many windows. Close one and reload.")
        transports.add(request.transport)
        return request.transport

    async def _write_all(self, request: web.Request, response: web.StreamResponse, channel: str) -> None:
        with suppress(ConnectionError, TimeoutError):  # the browser went away, or stalled for too long
            await response.prepare(request)
            # Open the reader before reading the database: no change falls between snapshot and stream.
            reader = self._platform.feed.open(channel)
            loop = asyncio.get_running_loop()
            checked_at = loop.time()
            try:
                last_event_id = request.headers.get("Last-Event-ID") or request.query.get("after", "")
                await _write(response, await self._build_first_events(request, reader, channel, last_event_id))
                while not reader.is_closed:
                    # By time, not in silence alone: another process may remove the user of a busy stream.
                    if loop.time() - checked_at >= self._ping_seconds:
                        checked_at = loop.time()
                        if await self._authenticator.authenticate(request) is None:
                            break
                    await _write(response, await self._build_next_events(request, reader, channel))
                await _write(response, b"event: bye\ndata: {}\n\n")
            finally:
                self._platform.feed.close(channel, reader)

    async def _build_first_events(
        self, request: web.Request, reader: FeedReader, channel: str, last_event_id: str
    ) -> bytes:
        # The position before the database: a change in between is sent again, and never lost.
        position = self._platform.feed.position
        changes = self._platform.feed.get_changes_since(channel, last_event_id) if last_event_id else None
        if changes is None:
            return await self._build_snapshot(request, reader, channel, position)
        return _join_events(reader, changes, position) or f"id: {position}\n\n".encode()

    async def _build_next_events(self, request: web.Request, reader: FeedReader, channel: str) -> bytes:
        changed_ids = await reader.wait_for_changes(self._ping_seconds)
        if not changed_ids:
            return b"" if reader.is_closed else b": ping\n\n"
        feed = self._platform.feed
        position = feed.position
        changes = [change for message_id in changed_ids if (change := feed.get(channel, message_id)) is not None]
        if len(changes) < len(changed_ids):  # so far behind that the feed has evicted some changes
            return await self._build_snapshot(request, reader, channel, position)
        return _join_events(reader, changes, position)

    async def _build_snapshot(self, request: web.Request, reader: FeedReader, channel: str, position: str) -> bytes:
        # One after another: many windows that open at once would hold the messages several times each.
        async with self._snapshots.hold(request[REQUEST_USER].id):
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the browser went away before its turn")
            return self._find_recent(channel) or await self._read_snapshot(reader, channel, position)

    def _find_recent(self, channel: str) -> bytes | None:
        version, expires_at, event = self._recent.get(channel, (None, 0.0, b""))
        is_current = version is self._platform.feed.get_version(channel)
        return event if is_current and asyncio.get_running_loop().time() < expires_at else None

    async def _read_snapshot(self, reader: FeedReader, channel: str, position: str) -> bytes:
        messages = await self._platform.list_messages(channel)
        event = format_sse_event("snapshot", reader.take_snapshot(messages), position)
        if not reader.is_following:
            expires_at = asyncio.get_running_loop().time() + _RECENT_SECONDS
            self._recent[channel] = (self._platform.feed.get_version(channel), expires_at, event)
        return event


def _join_events(reader: FeedReader, changes: Sequence[FeedChange], position: str) -> bytes:
    events = [event for change in changes if (event := reader.build_event(change)) is not None]
    # The position stands in the last event alone: a browser that loses the connection half-way gets all events again.
    return b"".join(events[:-1]) + f"id: {position}\n".encode() + events[-1] if events else b""


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    for start in range(0, len(chunk), _PIECE_BYTES):
        async with asyncio.timeout(_WRITE_SECONDS):
            await response.write(chunk[start : start + _PIECE_BYTES])
