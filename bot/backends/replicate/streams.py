"""Event streams of predictions: addresses, and connections read to the reported end."""

import logging
from collections.abc import Callable
from ssl import SSLContext

import httpx

from bot.backends import http
from bot.backends.http import EventReader, ServerSentEvent
from bot.backends.predictions import CogPrediction
from bot.backends.replicate.api import Origins
from bot.core.caches import RecentItems

log = logging.getLogger(__name__)

HandleStreamEvent = Callable[[ServerSentEvent], None]


class StreamAddresses:
    """Stream addresses by prediction, learnt from replies. A forgotten address costs one more GET."""

    def __init__(self, origins: Origins, *, max_entries: int = 10_000) -> None:
        self._origins = origins
        self._urls: RecentItems[str, str] = RecentItems(max_entries)

    def remember(self, prediction: CogPrediction) -> None:
        """Remember the address of a prediction's stream; an address that may not be read counts as no stream."""
        if self._origins.may_stream(prediction.stream_url):
            self._urls[prediction.id] = prediction.stream_url
        else:
            # A later reply may lack the address: keep a known address.
            self._urls.add_if_new(prediction.id, "")

    def get(self, prediction_id: str) -> str | None:
        """Return the stream's address, empty for a prediction without a stream, None if unknown."""
        return self._urls.get(prediction_id)


class ReplicateStreams:
    """Opens streams, and remembers the hosts that require the token."""

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
        """Pass on one connection's events. Return True after `done`, False for a broken or refused connection."""
        try:
            return await self._listen(url, last_id, handle_event)
        except httpx.RequestError as error:
            log.info("replicate.stream_broke", extra={"reason": type(error).__name__})
            return False

    async def close(self) -> None:
        """Close idle connections. Open streams end with their listeners."""
        await self._http.aclose()

    async def _listen(self, url: str, last_id: str, handle_event: HandleStreamEvent) -> bool:
        headers = self._headers(url, last_id)
        async with self._http.stream("GET", url, headers=headers) as response:
            if not self._wants_token(response, headers):
                return await _read_stream(response, handle_event)
        return await self._listen(url, last_id, handle_event)

    def _headers(self, url: str, last_id: str) -> dict[str, str]:
        # Compression would hold back small pieces of text.
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Accept-Encoding": "identity"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        # The path contains a secret of its own, and Replicate's JavaScript client sends no token: send the token only
        # to a trusted host that refused a request without the token.
        wants_token = httpx.URL(url).host in self._hosts_wanting_token and self._origins.may_carry_token(url)
        return headers | self._authorization if wants_token else headers

    def _wants_token(self, response: httpx.Response, headers: dict[str, str]) -> bool:
        """Return whether a refused request should be sent again with the token."""
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
