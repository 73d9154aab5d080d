"""Downloads files, and posts to strangers' servers: guarded against private addresses, with limits of size and time.

A link may lead to addresses of the public internet alone. A host is resolved once, the addresses are checked, and the
connection goes to a checked address: a second look-up could answer differently. The Host header and TLS still carry the
name. Each redirect of a download is checked in the same way; a post follows none. `data:` addresses are decoded.
"""

import asyncio
import base64
import binascii
import io
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote_to_bytes

import httpx

from bot.core.errors import BadFile, OutputGone, Unavailable, UnsafeAddress
from bot.core.limits import MAX_INLINE_BYTES, WEBHOOK_POST_SECONDS
from bot.media.decoding import build_too_large_error

# Addresses.

IPAddress: TypeAlias = IPv4Address | IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Resolves a host name and a port to addresses, best first."""

_UNICAST_V6 = ip_network("2000::/3")
# These ranges look public, but may embed a private address, or hold no server. `ipaddress` before Python 3.11.10 lacks
# some of the ranges.
_SPECIAL_NETWORKS = [
    ip_network(network)
    for network in (
        "2002::/16",  # 6to4
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
    )
]
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$")


def is_public(address: IPAddress) -> bool:
    """Return whether an address is on the public internet. NAT64, 6to4, Teredo and mapped addresses are not."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None or address not in _UNICAST_V6:
            return False
    elif address.is_multicast:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL_NETWORKS)


def is_disguised(host: str) -> bool:
    """Return whether a host is an IPv4 address in a resolver's spelling: decimal, hexadecimal, octal or short."""
    if not _ENDS_IN_NUMBER.search(host):
        return False
    try:
        return str(IPv4Address(host)) != host
    except ValueError:
        return True


async def resolve(host: str, port: int) -> list[str]:
    """Resolve by the system. Raise `BadFile` for an unknown name, `Unavailable` if no name server answers."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Unavailable(f"“{host}” could not be looked up just now. Please try again.") from error
        raise BadFile(f"There is no server called “{host}”.") from error
    except UnicodeError as error:
        raise BadFile(f"There is no server called “{host}”.") from error
    return [str(address[0]) for *_, address in found]


async def resolve_public_addresses(
    host: str, port: int, resolver: Resolver, is_allowed: Callable[[IPAddress], bool]
) -> list[str]:
    """Return the allowed addresses of a host, perhaps none. Literal addresses are not looked up."""
    try:
        literal = ip_address(host)
    except ValueError:
        answers = await resolver(host, port)
    else:
        answers = [str(literal)]
    return [answer for answer in answers if "%" not in answer and is_allowed(ip_address(answer))]


# Downloads and posts.

_MAX_REDIRECTS = 3
_MAX_ADDRESSES = 3
_MAX_URL_LENGTH = 4096
_TIMEOUT_SECONDS = 30.0
_BYTES_IN_TIME = 32 * 1024 * 1024
"""The file that `_TIMEOUT_SECONDS` are enough for; larger ones take longer in proportion."""
_TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
_UNREADABLE = "That address could not be read just now. Please try again."
_NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)
_DEFAULT_PORTS = {"https": 443, "http": 80}


Origins: TypeAlias = frozenset[tuple[str, str, int | None]]

CheckHop = Callable[[str], None]
"""Called with each address of a download, redirects included, before the request; raises to refuse the address."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A downloaded file. `mime` is the type claimed by the server, in lower case, perhaps empty."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class _Route:
    """One hop: the requested address, and the addresses to connect to, tried in order."""

    url: httpx.URL
    connect_to: Sequence[httpx.URL]
    is_configured: bool


class Fetcher:
    """Downloads files over https from public addresses.

    `allowed_origins` (such as `http://127.0.0.1:8766`; a path is ignored) may also be reached, at any address, but
    only by trusted addresses, which no user entered. `resolver`, `is_allowed`, `port` and `tls` are for tests.
    """

    def __init__(
        self,
        allowed_origins: Sequence[str] = (),
        *,
        resolver: Resolver = resolve,
        is_allowed: Callable[[IPAddress], bool] = is_public,
        port: int = 443,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._origins = frozenset(_get_origin(httpx.URL(origin)) for origin in allowed_origins)
        self._resolver = resolver
        self._is_allowed = is_allowed
        self._port = port
        self._tls = tls
        self._timeout_seconds = timeout_seconds
        self._clients: dict[tuple[bool, bool], httpx.AsyncClient] = {}

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        is_trusted: bool = False,
        origin: str = "",
        headers: Mapping[str, str] | None = None,
        check_hop: CheckHop | None = None,
        file: BinaryIO | None = None,
    ) -> FetchedFile:
        """Return a file of at most `max_bytes`; a download is written into `file`, if given, and not returned.

        A trusted address comes from a backend or a platform, and may lead to a configured origin, and to `origin`, the
        backend's own. `headers` are sent to
        the first origin only, or to each address that `check_hop` lets pass. Raise `UnsafeAddress`, `BadFile` (too
        large, or refused by the server), `OutputGone` (404, 410) and `Unavailable` (network, time, server errors).
        """
        if is_data_url(url):
            if len(url) <= MAX_INLINE_BYTES:
                return FetchedFile(*decode_data_url(url, max_bytes))
            return FetchedFile(*await asyncio.to_thread(decode_data_url, url, max_bytes))
        target = io.BytesIO() if file is None else file
        # Large files take longer; a silent server is given up after `_TIMEOUTS`.
        seconds = self._timeout_seconds * max(1, max_bytes / _BYTES_IN_TIME)
        try:
            async with asyncio.timeout(seconds):
                own = frozenset({_get_origin(httpx.URL(origin))} if origin else ())
                origins = self._origins | own if is_trusted else frozenset()
                mime = await self._follow(_parse(url), target, max_bytes, origins, dict(headers or {}), check_hop)
        except TimeoutError as error:
            raise Unavailable("That address took too long to answer. Please try again.") from error
        return FetchedFile(target.getvalue() if isinstance(target, io.BytesIO) else b"", mime)

    async def check_public(self, url: str) -> None:
        """Raise `UnsafeAddress`, `BadFile` or `Unavailable` for an address that `post` would not reach."""
        await self._find_route(_parse(url), frozenset())

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body over https to a public address, and return the status of the response, which is not read.

        No redirect is followed: its target was chosen by a stranger. Raise as `fetch` does.
        """
        try:
            async with asyncio.timeout(WEBHOOK_POST_SECONDS):
                route = await self._find_route(_parse(url), frozenset())
                response = await self._request("POST", route, headers, body)
                await response.aclose()
                return response.status_code
        except TimeoutError as error:
            raise Unavailable("That address took too long to answer. Please try again.") from error

    async def close(self) -> None:
        """Close connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def _follow(
        self,
        url: httpx.URL,
        file: BinaryIO,
        max_bytes: int,
        origins: Origins,
        headers: dict[str, str],
        check_hop: CheckHop | None,
    ) -> str:
        for _ in range(_MAX_REDIRECTS + 1):
            if check_hop is not None:
                check_hop(str(url))
            route = await self._find_route(url, origins)
            found = await self._get(route, file, max_bytes, headers)
            if isinstance(found, str):
                return found
            if check_hop is None and _get_origin(found) != _get_origin(url):
                headers = {}  # another origin must not see credentials
            # After a redirect leaves the configured origins, later hops stay untrusted: a stranger chose them.
            url, origins = found, origins if route.is_configured else frozenset()
        raise BadFile("That address leads to another again and again.")

    async def _find_route(self, url: httpx.URL, origins: Origins) -> _Route:
        """Check an address, and return the addresses to connect to. `origins` may be reached at any address."""
        if _get_origin(url) in origins:
            return _Route(url, [url], is_configured=True)
        if url.scheme != "https":
            raise UnsafeAddress("I only follow links that begin with https://.")
        if url.userinfo or not url.host:
            raise UnsafeAddress("I do not follow links with a user name in them.")
        if _get_port(url) != self._port:
            raise UnsafeAddress("I do not follow links to unusual ports.")
        if is_disguised(url.host) or "%" in url.host:
            raise UnsafeAddress("I do not follow links to private or local addresses.")
        addresses = await resolve_public_addresses(url.host, self._port, self._resolver, self._is_allowed)
        if not addresses:
            raise UnsafeAddress("I do not follow links to private or local addresses.")
        return _Route(url, [url.copy_with(host=address) for address in addresses[:_MAX_ADDRESSES]], is_configured=False)

    async def _get(self, route: _Route, file: BinaryIO, max_bytes: int, headers: Mapping[str, str]) -> str | httpx.URL:
        """Write the file and return its type, or a redirect's target."""
        async with AsyncExitStack() as stack:
            response = await self._request("GET", route, headers)
            stack.push_async_callback(response.aclose)
            if response.has_redirect_location:
                return _parse(str(route.url.join(response.headers["location"])))
            _check_response(response, max_bytes)
            try:
                await _write_body(response, file, max_bytes)
            except httpx.HTTPError as error:
                raise Unavailable(_UNREADABLE) from error
            return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()

    async def _request(
        self, method: str, route: _Route, headers: Mapping[str, str], body: bytes | None = None
    ) -> httpx.Response:
        """Return an open response, whose body is still to be read. Try the next address if one does not connect."""
        client = await self._client(route)
        unreached: Exception | None = None
        for address in route.connect_to:
            client.cookies.clear()  # the client is shared: no server may see another's cookies
            request = client.build_request(
                method,
                address,
                content=body,
                headers={**headers, "Host": route.url.netloc.decode(), "Accept-Encoding": "identity"},
                extensions={"sni_hostname": route.url.raw_host.decode().strip("[]")},
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreached = error
            except httpx.HTTPError as error:
                raise Unavailable(_UNREADABLE) from error
        raise Unavailable("That address could not be reached just now. Please try again.") from unreached

    async def _client(self, route: _Route) -> httpx.AsyncClient:
        """Return the client for a route, which keeps connections to configured origins alone."""
        # TLS is checked for one name per connection, but a public address may serve many names.
        key = route.is_configured, route.url.scheme == "https"
        if key not in self._clients:
            tls = await self._context() if key[1] else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            limits = httpx.Limits() if route.is_configured else _NO_KEEPALIVE
            client = httpx.AsyncClient(verify=tls, timeout=_TIMEOUTS, trust_env=False, limits=limits)
            if self._clients.setdefault(key, client) is not client:
                await client.aclose()
        return self._clients[key]

    async def _context(self) -> ssl.SSLContext:
        # Reading the certificates takes tens of milliseconds: not on the event loop.
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        return self._tls


async def _write_body(response: httpx.Response, file: BinaryIO, max_bytes: int) -> None:
    size_bytes = 0
    async for chunk in response.aiter_raw():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise build_too_large_error(max_bytes)
        # Into memory, or into the system's cache of a file: no call that waits for a disk.
        file.write(chunk)


def _parse(url: str) -> httpx.URL:
    if len(url) > _MAX_URL_LENGTH:
        raise BadFile("That address is too long.")
    try:
        parsed = httpx.URL(url.strip())
        # The resolver encodes the host: raise here for a host that cannot be (https://xn--/, https://a..b/).
        parsed.host.encode("idna")
        return parsed
    except (httpx.InvalidURL, ValueError) as error:
        raise UnsafeAddress("That is not an address I can read.") from error


def _get_origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, _get_port(url)


def _get_port(url: httpx.URL) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)


def _check_response(response: httpx.Response, max_bytes: int) -> None:
    """Raise the error that a response's head shows, before the body is read."""
    status = response.status_code
    if status in (404, 410):
        raise OutputGone("There is no file at that address.")
    if status == 429 or status >= 500:
        raise Unavailable(f"That address answers with an error ({status}). Please try again.")
    if status != 200:
        raise BadFile(f"That address does not give me the file (it answers {status}).")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadFile("That address sends the file compressed, although I asked it not to.")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise build_too_large_error(max_bytes)


def is_data_url(url: str) -> bool:
    """Return whether an address holds the file itself."""
    return url[:5].lower() == "data:"


def decode_data_url(url: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the bytes and the claimed MIME type. Raise `BadFile` for a broken address or more than `max_bytes`."""
    head, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise BadFile("That data: address is not complete.")
    mime, *parameters = head.split(";")
    is_base64 = "base64" in (parameter.strip().lower() for parameter in parameters)
    # Decoding shrinks a body to a third at least (%41 is one byte): refuse a longer body before decoding.
    if len(body) > max_bytes * 4:
        raise build_too_large_error(max_bytes)
    data = unquote_to_bytes(body)
    if is_base64:
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise BadFile("That data: address is not complete.") from error
    if len(data) > max_bytes:
        raise build_too_large_error(max_bytes)
    return data, mime.strip().lower() or "text/plain"
