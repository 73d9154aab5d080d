"""Tells requests that a proxy passed on from requests of a client that connects itself."""

from collections.abc import Iterable

_HEADERS = frozenset(
    {
        "forwarded",
        "via",
        "cdn-loop",
        "client-ip",
        "true-client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-host",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-scheme",
    }
)
# Cloudflare, Envoy, Azure, Tailscale, ngrok and IIS name the client in headers of their own.
_PREFIXES = ("x-forwarded", "x-original-", "cf-", "x-envoy-", "x-azure-", "x-arr-", "tailscale-", "ngrok-")


def is_forwarded(header_names: Iterable[str], http_version: tuple[int, int]) -> bool:
    """Return whether a request came through a proxy, by the names of the headers and the version of HTTP.

    A plain proxy adds no header and asks for this machine by a loopback name, but speaks HTTP/1.0, which no browser
    does: nginx by default (nginx.org/en/docs/http/ngx_http_proxy_module.html, `proxy_http_version`).
    """
    if http_version < (1, 1):
        return True
    names = {name.lower() for name in header_names}
    return not names.isdisjoint(_HEADERS) or any(name.startswith(_PREFIXES) for name in names)
