"""HTTP of all backends: a pool for many slow requests, server-sent events, outages, and files as data URLs."""

import asyncio
import base64
import logging
import math
import re
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import httpx

from bot.core.backend import InputFile
from bot.core.clock import Clock
from bot.core.errors import BackendDown, InputRefused

log = logging.getLogger(__name__)

# httpx's default of five seconds broke ordinary creates.
API_TIMEOUT = httpx.Timeout(30.0, connect=5.0, write=30.0, pool=10.0)

# Replicate ends a silent stream after 30 s itself, so a stream silent for 90 s has lost its connection.
STREAM_TIMEOUT = httpx.Timeout(90.0, connect=5.0, write=30.0, pool=10.0)

# The server may close an older idle connection just as a create is written, and the create would be unclear.
_KEEPALIVE_SECONDS = 15.0
_MAX_IDLE_CONNECTIONS = 50


# httpcore imports sniffio, optional, for each of its locks. Without this line Python searches all folders of packages
# for sniffio several times in each request, 0.7 ms each.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # documented: the import fails at once


@cache
def create_tls_context() -> ssl.SSLContext:
    """Return the TLS context that all clients share: reading the root certificates takes some 20 ms and 1 MB."""
    return httpx.create_ssl_context(trust_env=False)


def create_context_for(url: str) -> ssl.SSLContext:
    """Return the TLS context for an address; without TLS, an empty context, which trusts no certificate."""
    return create_tls_context() if httpx.URL(url).scheme == "https" else _create_empty_context()


@cache
def _create_empty_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def create_api_client(
    *, headers: Mapping[str, str], context: ssl.SSLContext, timeout: httpx.Timeout = API_TIMEOUT
) -> httpx.AsyncClient:
    """Return a client for short calls."""
    pool = HttpConnectionPool(context, max_idle=_MAX_IDLE_CONNECTIONS)
    # httpx follows no redirects by default; a redirect could carry the token to another host.
    return httpx.AsyncClient(headers=headers, timeout=timeout, transport=pool, trust_env=False)


def create_stream_client(*, timeout: httpx.Timeout = STREAM_TIMEOUT) -> httpx.AsyncClient:
    """Return a client for streams: each stream has a connection of its own, closed at the stream's end."""
    return httpx.AsyncClient(timeout=timeout, transport=HttpConnectionPool(None, max_idle=0), trust_env=False)


class HttpConnectionPool(httpx.AsyncBaseTransport):
    """A connection for each request in flight, without a limit; at most `max_idle` free connections are kept.

    Replaces httpcore's pool, which walks all connections several times for each request: 200 calls at once cost five
    seconds of CPU under a profiler, and 2,000 streams cannot be opened in time.
    """

    def __init__(self, context: ssl.SSLContext | None, *, max_idle: int) -> None:
        """Without a context, the address of each connection decides: for a pool that keeps no connection."""
        self._context = context
        self._max_idle = max_idle
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on the connection that was used last, as the likeliest alive, or on a new connection."""
        connection = self._idle.pop() if self._idle else self._open_connection(str(request.url))
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await connection.aclose()
            raise
        body = _Body(cast(httpx.AsyncByteStream, response.stream), connection, self)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    async def release(self, connection: httpx.AsyncHTTPTransport) -> None:
        """Keep or close a connection whose response is closed."""
        if len(self._idle) < self._max_idle:
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; the others close with their responses."""
        self._max_idle = 0
        while self._idle:
            await self._idle.pop().aclose()

    def _open_connection(self, url: str) -> httpx.AsyncHTTPTransport:
        context = self._context or create_context_for(url)
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=min(1, self._max_idle), keepalive_expiry=_KEEPALIVE_SECONDS
        )
        return httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)


class _Body(httpx.AsyncByteStream):
    """The bytes of a response; closing the body releases the connection."""

    def __init__(
        self, body: httpx.AsyncByteStream, connection: httpx.AsyncHTTPTransport, pool: HttpConnectionPool
    ) -> None:
        self._body = body
        self._connection: httpx.AsyncHTTPTransport | None = connection
        self._pool = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await self._body.aclose()
            finally:
                await self._pool.release(connection)


_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `id` is the event's own id, empty without an `id` line."""

    event: str
    data: str
    id: str = ""


class EventReader:
    """Turns the chunks of a stream, split at any byte, into events.

    As in html.spec.whatwg.org/multipage/server-sent-events.html: lines end at \\n, \\r\\n and \\r alone. httpx's
    `aiter_lines` also splits at U+2028, U+0085 and form feeds, and loses text.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._is_first_line = True
        self._ended_on_return = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that a chunk completes. An event without the closing empty line is dropped."""
        if not chunk:
            return []
        # A line ends at \r already; a \n at the head of the next chunk belongs to the same line end.
        if self._ended_on_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._ended_on_return = False
        if chunk:
            self._ended_on_return = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        events = [event for end in ends if (event := self._read_line(self._complete_line(end))) is not None]
        # Join the pieces once, at the end of the line: a picture of 4 MB is one line in a thousand chunks.
        if rest:
            self._pieces.append(rest)
        return events

    def _complete_line(self, end: bytes) -> str:
        line = b"".join((*self._pieces, end))
        self._pieces.clear()
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
        try:
            # Some servers write half a character into each of two events: the halves stay, to be joined.
            return line.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return line.decode("utf-8", "replace")

    def _read_line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data, own_id = self._event, self._data, self._id
        self._event, self._data, self._id = "", [], ""
        # Without a data line there is no event. An empty data line counts: a newline token arrives as two of them.
        return ServerSentEvent(event or "message", "\n".join(data), own_id) if data else None


# Outages.

FAILURES_TO_OPEN = 6
"""Failures in a row, of any calls: not reached, or a 5xx. Four of them may be the tries of one call."""

INITIAL_OPEN_SECONDS = 15.0
MAX_OPEN_SECONDS = 120.0

PROBE_SECONDS = 30.0
"""Time for the one admitted request of a half-open circuit, before another request is admitted."""


class CircuitBreaker:
    """Open after failures in a row, half-open after a wait, closed by the first answered call.

    Every call counts, also the calls of running jobs, which go on while the circuit is open.
    """

    def __init__(self, clock: Clock, name: str, service: str = "The model service") -> None:
        """`name` is the backend's, for the log; `service` begins the sentence for users."""
        self._clock = clock
        self._name = name
        self._service = service
        self._failures = 0
        self._open_until: float | None = None
        self._probed_until = float("-inf")
        self._open_seconds = INITIAL_OPEN_SECONDS

    @property
    def is_open(self) -> bool:
        """Whether the service counts as away, half-open included."""
        return self._open_until is not None

    @property
    def is_failing(self) -> bool:
        """Whether the last call got no answer, or a 5xx."""
        return self._failures > 0

    def record_success(self) -> None:
        """Close the circuit: the service answered a call, if only with a refusal."""
        if self.is_open:
            log.warning("backend.circuit_closed", extra={"backend": self._name})
        self._failures, self._open_until, self._open_seconds = 0, None, INITIAL_OPEN_SECONDS

    def record_failure(self) -> None:
        """Count a call without an answer, or with a 5xx."""
        self._failures += 1
        now = self._clock.monotonic()
        if self._open_until is None:
            if self._failures >= FAILURES_TO_OPEN:
                self._open(now)
        elif now >= self._open_until:
            self._open_seconds = min(self._open_seconds * 2, MAX_OPEN_SECONDS)
            self._open(now)

    def admit(self) -> None:
        """Admit a new request, or raise `BackendDown`. A half-open circuit admits one request, to probe the service."""
        self.raise_if_open()
        now = self._clock.monotonic()
        if not self.is_open:
            return
        if now < self._probed_until:
            raise self._make_error(self._probed_until - now)
        self._probed_until = now + PROBE_SECONDS

    def raise_if_open(self) -> None:
        """Raise `BackendDown` unless the circuit is closed or half-open: the probe itself must pass."""
        now = self._clock.monotonic()
        if self._open_until is not None and now < self._open_until:
            raise self._make_error(self._open_until - now)

    def check(self) -> None:
        """Raise `BackendDown` while the service counts as away. Changes nothing."""
        if self._open_until is not None:
            raise self._make_error(max(0.0, self._open_until - self._clock.monotonic()))

    def _open(self, now: float) -> None:
        self._open_until = now + self._open_seconds
        self._probed_until = float("-inf")
        facts = {"backend": self._name, "failures": self._failures, "seconds": self._open_seconds}
        log.error("backend.circuit_opened", extra=facts)

    def _make_error(self, seconds: float) -> BackendDown:
        return BackendDown(f"{self._service} cannot be reached right now. Try again {format_wait(seconds)}.")


def format_wait(seconds: float) -> str:
    """Return a wait as the end of a sentence, rounded up: "in 15 seconds"."""
    whole = max(1, math.ceil(seconds))
    wait = "a second" if whole == 1 else f"{whole} seconds" if whole < 120 else f"{math.ceil(whole / 60)} minutes"
    return f"in {wait}"


# Files of requests.


async def read_input_file(file: InputFile) -> bytes:
    """Return the bytes of a file. Raise `InputRefused` for a file that is no longer kept."""
    try:
        return await asyncio.to_thread(Path(file.path).read_bytes)
    except OSError as error:
        raise InputRefused("The file to work on is no longer kept. Send it again.") from error


def make_data_url(content: bytes, mime: str) -> str:
    """Return a file as an address (RFC 2397)."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
