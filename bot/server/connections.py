"""Connections of the HTTP server: bounds on their number, on silence in either direction, and plain refusals."""

import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import Any

from aiohttp import StreamReader, web

from bot.core import limits

log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "Easel",  # aiohttp names its version and Python's
}
"""The headers of every response, unless a route sets its own."""

_FULL_RESPONSE = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: Easel\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 55\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    b"Too many connections are open. Please try again soon.\r\n"
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The bounds of `bot.core.limits` on connections; tests shorten them."""

    max_connections: int = limits.MAX_CONNECTIONS
    header_seconds: float = limits.HEADER_SECONDS
    idle_seconds: float = limits.IDLE_SECONDS
    body_window_seconds: float = limits.BODY_WINDOW_SECONDS
    body_window_bytes: int = limits.BODY_WINDOW_BYTES
    body_seconds: float = limits.BODY_SECONDS
    write_window_seconds: float = limits.WRITE_WINDOW_SECONDS
    refusal_seconds: float = limits.REFUSAL_SECONDS


class ConnectionPool:
    """The open connections. At the bound, a new connection takes the place of the one that waits longest."""

    def __init__(self, server: web.Server, bounds: ConnectionLimits) -> None:
        self._server = server
        self._bounds = bounds
        self._capacity = min(bounds.max_connections, _count_usable_descriptors())
        self._open: dict[HttpConnection, None] = {}

    def make_connection(self) -> "HttpConnection":
        """Return the protocol of a new connection, for `loop.create_server`."""
        return HttpConnection(self._server, self, self._bounds)

    def admit(self, connection: "HttpConnection") -> bool:
        """Note a new connection; False if the bound is reached and every connection is at work."""
        if len(self._open) >= self._capacity:
            waiting = [other for other in self._open if other.is_waiting_for_client]
            if not waiting:
                log.warning("http.full", extra={"connections": len(self._open)})
                return False
            longest = min(waiting, key=lambda other: other.changed_at)
            del self._open[longest]
            longest.force_close()
        self._open[connection] = None
        return True

    def remove(self, connection: "HttpConnection") -> None:
        """Forget a closed connection."""
        self._open.pop(connection, None)


class HttpConnection(web.RequestHandler):
    """A connection that closes if the client is silent: in headers, in a body, or while a response waits.

    aiohttp bounds the time between requests alone. `begin_request` is called once the headers of a request are read.
    """

    def __init__(self, server: web.Server, pool: ConnectionPool, bounds: ConnectionLimits) -> None:
        options: dict[str, Any] = {"access_log": None}  # the logger's type is not optional in aiohttp
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=bounds.idle_seconds,
            lingering_time=limits.LINGER_SECONDS,
            # A body of 2 MB may unpack to gigabytes, on the event loop: requests stay packed and are refused.
            auto_decompress=False,
            **options,
        )
        self._pool = pool
        self._bounds = bounds
        self._is_admitted = False
        self._body: StreamReader | None = None
        """The body of the request at work; None between requests."""
        self._body_bytes = 0
        self._body_windows = 0
        self._is_body_given_up = False
        self._unsent_bytes = 0
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.changed_at = self._loop.time()
        """The time of the last begin or end of a request."""

    @property
    def is_waiting_for_client(self) -> bool:
        """Whether the connection is idle, or the headers or the body of a request are incomplete."""
        return self._body is None or not self._body.is_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._is_admitted = self._pool.admit(self)
        if self._is_admitted:
            super().connection_made(transport)
        elif isinstance(transport, asyncio.Transport):
            transport.write(_FULL_RESPONSE)
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._pool.remove(self)
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_admitted:
            return
        # aiohttp calls this method without data to parse on: only the client's bytes start the time of the headers.
        if data and self._body is None and self._read_timer is None:
            self._read_timer = self._loop.call_later(self._bounds.header_seconds, self.force_close)
        super().data_received(data)

    def begin_request(self, body: StreamReader) -> None:
        """Stop the time of the headers, and watch the body."""
        self._stop_read_timer()
        self.changed_at = self._loop.time()
        self._body, self._body_bytes, self._body_windows = body, 0, 0
        if not body.is_eof():
            self._read_timer = self._loop.call_later(self._bounds.body_window_seconds, self._check_body)

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """Note the end of a request: aiohttp calls this method after the last byte of each response."""
        super().log_access(request, response, time)
        self._stop_read_timer()
        self.changed_at = self._loop.time()
        self._body = None
        if self._is_body_given_up:
            self.force_close()  # aiohttp would wait for the rest of the body

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the response to a request that is not HTTP, or whose handler failed.

        Raise `ConnectionError` if the client left meanwhile, for example half-way through an upload.
        """
        self._stop_read_timer()
        if isinstance(exc, ConnectionError) and self._is_client_gone:
            raise exc
        if status >= 500:
            log.error("http.failed", exc_info=exc, extra={"method": request.method, "path": request.path})
            text = "Something broke on our side.\n"
        else:
            # Strangers send such requests all day: no traceback, and nothing of the request in the answer.
            log.debug("http.malformed", extra={"peer": request.remote})
            text = "That is not a valid HTTP request.\n"
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun already")
        response = web.Response(status=status, text=text, headers=SECURITY_HEADERS)
        response.force_close()
        return response

    @property
    def _is_client_gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _check_body(self) -> None:
        body, transport = self._body, self.transport
        if body is None or transport is None or body.is_eof():
            return
        # Reading is paused while the handler is behind: such a window is ours, not the client's.
        if transport.is_reading():
            self._body_windows += 1
            is_silent = body.total_bytes - self._body_bytes < self._bounds.body_window_bytes
            if is_silent or self._body_windows * self._bounds.body_window_seconds >= self._bounds.body_seconds:
                self._is_body_given_up = True
                text = "That request stopped half-way. Please send it again."
                body.set_exception(web.HTTPRequestTimeout(text=text))
                return
        self._body_bytes = body.total_bytes
        self._read_timer = self._loop.call_later(self._bounds.body_window_seconds, self._check_body)

    def _watch_writing(self) -> None:
        if self.transport is not None:
            self._unsent_bytes = self.transport.get_write_buffer_size()
            self._write_timer = self._loop.call_later(self._bounds.write_window_seconds, self._check_writing)

    def _check_writing(self) -> None:
        if self.transport is None:
            return
        if self._unsent_bytes - self.transport.get_write_buffer_size() < limits.WRITE_WINDOW_BYTES:
            self.transport.abort()  # `close` would wait for the same reader
        else:
            self._watch_writing()

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _stop_timers(self) -> None:
        self._stop_read_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()


def make_request_watcher(refusal_seconds: float) -> Any:
    """Return a middleware that begins each request on its connection, refuses packed bodies, and slows refusals."""
    refusals = asyncio.Semaphore(limits.MAX_CONCURRENT_REFUSALS)

    async def slow_down() -> None:
        async with refusals:
            await asyncio.sleep(refusal_seconds)

    @web.middleware
    async def watch_request(request: web.Request, handler: Any) -> web.StreamResponse:
        if isinstance(request.protocol, HttpConnection):
            request.protocol.begin_request(request.content)
        try:
            if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise web.HTTPUnsupportedMediaType(text="Send the body unpacked, without Content-Encoding.")
            response: web.StreamResponse = await handler(request)
        except web.HTTPClientError:
            await slow_down()
            raise
        if 400 <= response.status < 500 and not response.prepared:
            await slow_down()
        return response

    return watch_request


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Set the security headers that the route left out, also on 404 and 405 of the router."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SECURITY_HEADERS["Server"]  # aiohttp has set its own by now


def _count_usable_descriptors() -> int:
    """Return half of the file descriptors of this process: database, media and outgoing requests need some too."""
    if sys.platform == "win32":
        return limits.MAX_CONNECTIONS
    import resource  # not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limits.MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, soft // 2)
