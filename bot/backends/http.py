"""The HTTP clients that backends use: httpx, tuned for many slow conversations at once."""

import ssl
from collections.abc import AsyncIterator, Mapping
from typing import cast

import httpx

API_TIMEOUT = httpx.Timeout(30.0, connect=5.0, write=30.0, pool=10.0)
"""Seconds. httpx's own five seconds for everything broke ordinary creates."""

# Replicate ends a silent stream after 30 s itself, so 90 s of nothing is a dead line.
STREAM_TIMEOUT = httpx.Timeout(90.0, connect=5.0, write=30.0, pool=10.0)

# A line that sat idle for longer may be closed by the other side just as we write a create on it, and a create that
# breaks there is an unclear one.
_KEEPALIVE_SECONDS = 15.0
_MAX_IDLE_CONNECTIONS = 50


def create_tls_context() -> ssl.SSLContext:
    """A context to share between clients: building one reads all the root certificates, some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def create_api_client(
    *, headers: Mapping[str, str], context: ssl.SSLContext, timeout: httpx.Timeout = API_TIMEOUT
) -> httpx.AsyncClient:
    """For calls that answer at once. Follows no redirect, as that could carry the token elsewhere."""
    lines = HttpConnectionPool(context, max_idle=_MAX_IDLE_CONNECTIONS)
    return httpx.AsyncClient(headers=headers, timeout=timeout, transport=lines, trust_env=False)


def create_stream_client(*, context: ssl.SSLContext, timeout: httpx.Timeout = STREAM_TIMEOUT) -> httpx.AsyncClient:
    """For streams: each has a line of its own, which ends with it."""
    return httpx.AsyncClient(timeout=timeout, transport=HttpConnectionPool(context, max_idle=0), trust_env=False)


class HttpConnectionPool(httpx.AsyncBaseTransport):
    """A connection for each request in flight, without a limit; when free, `keep` of them stay for the next.

    In place of httpcore's pool, which walks all its connections several times for each request: 200 calls at once
    cost it five seconds of CPU under a profiler, and 2,000 streams cannot be opened in time.
    """

    def __init__(self, context: ssl.SSLContext, *, max_idle: int) -> None:
        self._context = context
        self._max_idle = max_idle
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take the line that was free last, as it is the likeliest to be alive, or a new one."""
        line = self._idle.pop() if self._idle else self._open_connection()
        try:
            response = await line.handle_async_request(request)
        except BaseException:
            await line.aclose()
            raise
        body = _Body(cast(httpx.AsyncByteStream, response.stream), line, self)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    async def release(self, connection: httpx.AsyncHTTPTransport) -> None:
        """The reply has been read, or left: keep the line or end it."""
        if len(self._idle) < self._max_idle:
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """End the free lines; the others end with their replies."""
        self._max_idle = 0
        while self._idle:
            await self._idle.pop().aclose()

    def _open_connection(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=min(1, self._max_idle), keepalive_expiry=_KEEPALIVE_SECONDS
        )
        return httpx.AsyncHTTPTransport(verify=self._context, limits=limits, trust_env=False)


class _Body(httpx.AsyncByteStream):
    """A reply's bytes; closing them gives the line back."""

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
        line, self._connection = self._connection, None
        if line is not None:
            try:
                await self._body.aclose()
            finally:
                await self._pool.release(line)
