"""Where the token may go: to the API itself, and nowhere a reply merely points to."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from ssl import SSLContext

import httpx

from bot.backends import http
from bot.backends.replicate.outputs import ReplicatePrediction
from bot.backends.sse import EventReader, ServerSentEvent


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


# MERGED Which stream belongs to which prediction, for as many as are likely to be watched.


class StreamAddresses:
    """Learnt from replies. Forgets the oldest beyond `most`; a forgotten one costs one GET more."""

    def __init__(self, origins: Origins, *, max_entries: int = 10_000) -> None:
        self._origins = origins
        self._max_entries = max_entries
        self._urls: OrderedDict[str, str] = OrderedDict()

    def remember(self, prediction: ReplicatePrediction) -> None:
        """Remember where this one streams; an address that we may not read from counts as none."""
        if self._origins.may_stream(prediction.stream_url):
            self._urls[prediction.id] = prediction.stream_url
        else:
            self._urls.setdefault(prediction.id, "")
        while len(self._urls) > self._max_entries:
            self._urls.popitem(last=False)

    def get(self, prediction_id: str) -> str | None:
        """Its address; empty when it has none, None when that is not known."""
        return self._urls.get(prediction_id)


# MERGED One prediction's event stream: opened, resumed, and listened to until it says that it is done.

log = logging.getLogger(__name__)

HandleStreamEvent = Callable[[ServerSentEvent], None]


class ReplicateStreams:
    """Opens streams, and knows which hosts want the token with it."""

    def __init__(
        self,
        origins: Origins,
        authorization: dict[str, str],
        *,
        context: SSLContext,
        timeout: httpx.Timeout = http.STREAM_TIMEOUT,
    ) -> None:
        self._origins = origins
        self._authorization = authorization
        self._http = http.create_stream_client(context=context, timeout=timeout)
        self._hosts_wanting_token: set[str] = set()

    async def listen(self, url: str, last_id: str, handle_event: HandleStreamEvent) -> bool:
        """Pass on one connection's events. True when the stream said `done`, False when it broke or was refused."""
        try:
            return await self._listen(url, last_id, handle_event)
        except httpx.RequestError as error:
            log.info("replicate.stream_broke", extra={"reason": type(error).__name__})
            return False

    async def close(self) -> None:
        """Let connections go. Streams still listened to end with who listens."""
        await self._http.aclose()

    async def _listen(self, url: str, last_id: str, handle_event: HandleStreamEvent) -> bool:
        headers = self._headers(url, last_id)
        async with self._http.stream("GET", url, headers=headers) as response:
            if not self._wants_token(response, headers):
                return await _read_stream(response, handle_event)
        return await self._listen(url, last_id, handle_event)

    def _headers(self, url: str, last_id: str) -> dict[str, str]:
        # Compression would hold words back.
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Accept-Encoding": "identity"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        # The path holds a secret of its own, and Replicate's JavaScript client sends no token: so neither do we, until
        # a host that may have it asks.
        wants_token = httpx.URL(url).host in self._hosts_wanting_token and self._origins.may_carry_token(url)
        return headers | self._authorization if wants_token else headers

    def _wants_token(self, response: httpx.Response, headers: dict[str, str]) -> bool:
        """Whether this refusal is for want of a token that we may give: the next `_headers` has it."""
        if response.status_code not in (401, 403) or "Authorization" in headers or not self._authorization:
            return False
        if not self._origins.may_carry_token(str(response.url)):
            return False
        self._hosts_wanting_token.add(response.url.host)
        return True


async def _read_stream(response: httpx.Response, handle_event: HandleStreamEvent) -> bool:
    if not _is_event_stream(response):
        log.info("replicate.stream_refused", extra={"status": response.status_code})
        return False
    reader = EventReader()
    async for chunk in response.aiter_bytes():
        for event in reader.feed(chunk):
            if event.event == "done":
                return True
            handle_event(event)
    return False


def _is_event_stream(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return response.status_code == 200 and kind.startswith("text/event-stream")
