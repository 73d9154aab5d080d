"""The HTTP clients that backends use: httpx, tuned for many slow conversations at once."""

import ssl
from collections.abc import Mapping

import httpx

API_TIMEOUT = httpx.Timeout(30.0, connect=5.0, write=30.0, pool=10.0)
"""Seconds. httpx's own five seconds for everything broke ordinary creates."""

# Replicate ends a silent stream after 30 s itself, so 90 s of nothing is a dead line.
STREAM_TIMEOUT = httpx.Timeout(90.0, connect=5.0, write=30.0, pool=10.0)

# A line that sat idle for longer may be closed by the other side just as we write a create on it, and a create that
# breaks there is an unclear one.
KEEPALIVE_SECONDS = 15.0


def tls() -> ssl.SSLContext:
    """A context to share between clients: building one reads all the root certificates, some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def api_client(
    *, headers: Mapping[str, str], context: ssl.SSLContext, timeout: httpx.Timeout = API_TIMEOUT
) -> httpx.AsyncClient:
    """For calls that answer at once. Follows no redirect, as that could carry the token elsewhere."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=KEEPALIVE_SECONDS)
    return httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits, verify=context, trust_env=False)


def stream_client(*, context: ssl.SSLContext, timeout: httpx.Timeout = STREAM_TIMEOUT) -> httpx.AsyncClient:
    """For one stream, then to be closed.

    Each stream has a client of its own, because httpcore walks its whole pool at each request: opening 2,000 streams
    from one pool is quadratic, and idle API lines would be thrown out to make room.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=timeout, limits=limits, verify=context, trust_env=False)
