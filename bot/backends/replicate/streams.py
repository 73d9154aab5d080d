"""Event streams of predictions: addresses, connections read to the reported end, and the bot's events, each once.

`RunEvents` turns stream events and predictions of one run into the bot's events, without network and time.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from ssl import SSLContext

import httpx

from bot.backends import http
from bot.backends.http import EventReader, ServerSentEvent
from bot.backends.predictions import CogPrediction, extract_text, make_snapshot, parse_percent, strip_prefix
from bot.backends.replicate.api import Origins
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunPending, RunProgress, RunStarted, TextDelta
from bot.core.caches import RecentItems
from bot.core.models import Model

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


class StreamedText:
    """The text of one watch, from a stream that may restart and from whole texts of GETs; returns each piece once.

    Returned text can only be extended, since messages show the text already. Text that contradicts returned text is
    held back: the final snapshot then replaces the whole text.
    """

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self._prefixes = prefixes
        self._pieces: list[str] = []
        self._length = 0
        self._stream_position = 0
        self._is_stream_consistent = True
        self._may_be_prefix = bool(prefixes)

    def rewind(self) -> None:
        """Expect the stream to restart at its first token."""
        self._stream_position, self._is_stream_consistent = 0, True

    def add_token(self, token: str) -> str:
        """Return the new part of the stream's next token."""
        start, self._stream_position = self._stream_position, self._stream_position + len(token)
        if not self._is_stream_consistent:
            return ""
        known = self._text()[start : self._stream_position] if start < self._length else ""
        if not token.startswith(known):
            self._is_stream_consistent = False
            return ""
        return self._add(token[len(known) :])

    def add_whole_text(self, whole: str, *, is_final: bool = False) -> str:
        """Return the new part of a whole text."""
        known = self._text()
        new = self._add(whole[len(known) :]) if whole.startswith(known) else ""
        return new + self._release_head() if is_final else new

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
            self._length += len(text)
        if not self._may_be_prefix:
            return text
        # Hold the beginning back while a prefix that will be removed may still grow.
        head = self._text()
        may_grow = any(prefix.startswith(head) and prefix != head for prefix in self._prefixes)
        return "" if may_grow else self._release_head()

    def _release_head(self) -> str:
        if not self._may_be_prefix:
            return ""
        self._may_be_prefix = False
        return strip_prefix(self._text(), self._prefixes)


class RunEvents:
    """The events of one watch: remembers the events told so far, and yields the new ones."""

    def __init__(self, model: Model) -> None:
        self.has_ended = False
        self._model = model
        self._has_started = False
        self._is_starting = False
        self._percent = -1
        self._transcript = StreamedText(model.strip_prefixes)

    def rewind(self) -> None:
        """Expect the stream to restart at its first event."""
        self._transcript.rewind()

    def read_stream_event(self, event: ServerSentEvent) -> Iterator[RunEvent]:
        """Yield the news in a stream's event. Pictures are ignored: the final GET has pictures and metrics."""
        if event.event == "output":
            yield from self.mark_started()
            if self._model.output.is_text:
                yield from self._write(self._transcript.add_token(event.data))
        elif event.event == "logs":
            yield from self.mark_started()
            yield from self._progress(event.data)

    def read_prediction(self, prediction: CogPrediction) -> Iterator[RunEvent]:
        """Yield the news in a prediction, up to `RunEnded`."""
        is_final = prediction.state.is_final
        if prediction.started_at or prediction.state in (PredictionState.PROCESSING, PredictionState.SUCCEEDED):
            yield from self.mark_started(_compute_start_seconds(prediction))
        elif prediction.state is PredictionState.STARTING and not (self._has_started or self._is_starting):
            self._is_starting = True
            yield RunPending()
        yield from self._progress(prediction.logs)
        if self._model.output.is_text:
            yield from self._write(self._transcript.add_whole_text(extract_text(prediction.output), is_final=is_final))
        if is_final and not self.has_ended:
            self.has_ended = True
            yield RunEnded(make_snapshot(prediction, self._model))

    def mark_started(self, after_seconds: float | None = None) -> Iterator[RunEvent]:
        """Yield `RunStarted` once; `after_seconds` is the time from the create to the start, if known."""
        if not self._has_started:
            self._has_started = True
            yield RunStarted(after_seconds)

    def _progress(self, logs: str) -> Iterator[RunEvent]:
        # Several bars may follow one another (refiner, decoder): the shown progress must not fall.
        percent = parse_percent(logs)
        if percent is not None and percent > self._percent:
            self._percent = percent
            yield RunProgress(percent)

    def _write(self, text: str) -> Iterator[RunEvent]:
        if text:
            yield TextDelta(text)


def _compute_start_seconds(prediction: CogPrediction) -> float | None:
    """Return the seconds from create to start, both by Replicate's clock."""
    if prediction.started_at is None or prediction.created_at is None:
        return None
    return max(0.0, (prediction.started_at - prediction.created_at).total_seconds())
