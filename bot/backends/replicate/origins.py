"""Where the token may go: to the API itself, and nowhere a reply merely points to."""

import httpx


class Origins:
    """Knows the API's own address, and judges the others by it."""

    def __init__(self, base_url: str) -> None:
        self.api = httpx.URL(base_url.rstrip("/") + "/v1/")

    def is_api(self, url: str) -> bool:
        """Whether this has the API's scheme, host and port."""
        address = parse_url(url)
        return address is not None and _origin(address) == _origin(self.api)

    def may_stream(self, url: str) -> bool:
        """Whether a stream may be read from here: by https, or from the API's own origin (the sandbox)."""
        address = parse_url(url)
        return address is not None and (address.scheme == "https" or self.is_api(url))

    def may_carry_token(self, url: str) -> bool:
        """The API's origin; and Replicate's stream hosts, when the API is Replicate's."""
        address = parse_url(url)
        if address is None:
            return False
        return self.is_api(url) or (address.scheme == "https" and _is_replicate(address) and _is_replicate(self.api))


def parse_url(url: str) -> httpx.URL | None:
    """The address, or None for what is none."""
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return None
    return address if address.host and address.scheme in ("http", "https") else None


def _is_replicate(address: httpx.URL) -> bool:
    return address.host.endswith((".replicate.com", ".replicate.net"))


def _origin(address: httpx.URL) -> tuple[str, str, int]:
    return address.scheme, address.host, address.port or (443 if address.scheme == "https" else 80)
