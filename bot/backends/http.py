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
_LINES_KEPT = 50


def tls() -> ssl.SSLContext:
    """A context to share between clients: building one reads all the root certificates, some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def api_client(
    *, headers: Mapping[str, str], context: ssl.SSLContext, timeout: httpx.Timeout = API_TIMEOUT
) -> httpx.AsyncClient:
    """For calls that answer at once. Follows no redirect, as that could carry the token elsewhere."""
    lines = Lines(context, keep=_LINES_KEPT)
    return httpx.AsyncClient(headers=headers, timeout=timeout, transport=lines, trust_env=False)


def stream_client(*, context: ssl.SSLContext, timeout: httpx.Timeout = STREAM_TIMEOUT) -> httpx.AsyncClient:
    """For streams: each has a line of its own, which ends with it."""
    return httpx.AsyncClient(timeout=timeout, transport=Lines(context, keep=0), trust_env=False)


class Lines(httpx.AsyncBaseTransport):
    """A connection for each request in flight, without a limit; when free, `keep` of them stay for the next.

    In place of httpcore's pool, which walks all its connections several times for each request: 200 calls at once
    cost it five seconds of CPU under a profiler, and 2,000 streams cannot be opened in time.
    """

    def __init__(self, context: ssl.SSLContext, *, keep: int) -> None:
        self._context = context
        self._keep = keep
        self._free: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take the line that was free last, as it is the likeliest to be alive, or a new one."""
        line = self._free.pop() if self._free else self._new()
        try:
            response = await line.handle_async_request(request)
        except BaseException:
            await line.aclose()
            raise
        body = _Body(cast(httpx.AsyncByteStream, response.stream), line, self)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    async def give_back(self, line: httpx.AsyncHTTPTransport) -> None:
        """The reply has been read, or left: keep the line or end it."""
        if len(self._free) < self._keep:
            self._free.append(line)
        else:
            await line.aclose()

    async def aclose(self) -> None:
        """End the free lines; the others end with their replies."""
        self._keep = 0
        while self._free:
            await self._free.pop().aclose()

    def _new(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=min(1, self._keep), keepalive_expiry=_KEEPALIVE_SECONDS
        )
        return httpx.AsyncHTTPTransport(verify=self._context, limits=limits, trust_env=False)


class _Body(httpx.AsyncByteStream):
    """A reply's bytes; closing them gives the line back."""

    def __init__(self, body: httpx.AsyncByteStream, line: httpx.AsyncHTTPTransport, lines: Lines) -> None:
        self._body = body
        self._line: httpx.AsyncHTTPTransport | None = line
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            try:
                await self._body.aclose()
            finally:
                await self._lines.give_back(line)
