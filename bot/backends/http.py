"""Makes the HTTP clients of backends: httpx with a connection pool for many slow requests at once."""

import ssl
from collections.abc import AsyncIterator, Mapping
from typing import cast

import httpx

# httpx's default of five seconds broke ordinary creates.
API_TIMEOUT = httpx.Timeout(30.0, connect=5.0, write=30.0, pool=10.0)

# Replicate ends a silent stream after 30 s itself, so a stream silent for 90 s has lost its connection.
STREAM_TIMEOUT = httpx.Timeout(90.0, connect=5.0, write=30.0, pool=10.0)

# The server may close an older idle connection just as a create is written, and the create would be unclear.
_KEEPALIVE_SECONDS = 15.0
_MAX_IDLE_CONNECTIONS = 50


def create_tls_context() -> ssl.SSLContext:
    """Return a TLS context to share between clients: reading the root certificates takes some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def create_api_client(
    *, headers: Mapping[str, str], context: ssl.SSLContext, timeout: httpx.Timeout = API_TIMEOUT
) -> httpx.AsyncClient:
    """Return a client for short calls."""
    pool = HttpConnectionPool(context, max_idle=_MAX_IDLE_CONNECTIONS)
    # httpx follows no redirects by default; a redirect could carry the token to another host.
    return httpx.AsyncClient(headers=headers, timeout=timeout, transport=pool, trust_env=False)


def create_stream_client(*, context: ssl.SSLContext, timeout: httpx.Timeout = STREAM_TIMEOUT) -> httpx.AsyncClient:
    """Return a client for streams: each stream has a connection of its own, closed at the stream's end."""
    return httpx.AsyncClient(timeout=timeout, transport=HttpConnectionPool(context, max_idle=0), trust_env=False)


class HttpConnectionPool(httpx.AsyncBaseTransport):
    """A connection for each request in flight, without a limit; at most `max_idle` free connections are kept.

    Replaces httpcore's pool, which walks all connections several times for each request: 200 calls at once cost five
    seconds of CPU under a profiler, and 2,000 streams cannot be opened in time.
    """

    def __init__(self, context: ssl.SSLContext, *, max_idle: int) -> None:
        self._context = context
        self._max_idle = max_idle
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on the connection that was used last, as the likeliest alive, or on a new connection."""
        connection = self._idle.pop() if self._idle else self._open_connection()
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

    def _open_connection(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=min(1, self._max_idle), keepalive_expiry=_KEEPALIVE_SECONDS
        )
        return httpx.AsyncHTTPTransport(verify=self._context, limits=limits, trust_env=False)


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
