"""HTTP headers: the signs of a proxy before the client, and the signatures of webhooks, in and out."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

# Proxies.

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


# Signatures.

KEY_PREFIX = "whsec_"


def compute_signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the entry `v1,<base64>` of the header `webhook-signature`. `timestamp` is in Unix seconds."""
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def decode_secret(secret: str) -> bytes | None:
    """Return the key of a secret in base64, with or without `whsec_`; None for another text."""
    # Replicate's example splits at "_", which breaks if the base64 of a key contains one.
    try:
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True) or None
    except (binascii.Error, ValueError):
        return None
