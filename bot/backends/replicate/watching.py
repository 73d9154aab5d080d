"""Follows one run to its end: by the stream or by webhooks with some polls beside them, else by polling.

A picture that is done within 30 s costs three requests: the create, the stream and the last GET; or, with webhooks, the
create, one poll and the last GET. A stream of events is read to the reported end.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from itertools import chain, repeat

import httpx

from bot.backends import http
from bot.backends.http import EventReader, ServerSentEvent
from bot.backends.predictions import CogPrediction, RunEvents
from bot.backends.replicate.api import Origins, with_jitter
from bot.backends.replicate.webhooks import WebhookWaiter, WebhookWaiters
from bot.core.backend import RunEnded, RunEvent
from bot.core.background_tasks import first_completed
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown
from bot.core.models import Model
from bot.core.token_bucket import TokenBucket

log = logging.getLogger(__name__)


# Event streams.

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
        timeout: httpx.Timeout = http.STREAM_TIMEOUT,
    ) -> None:
        self._origins = origins
        self._authorization = authorization
        self._http = http.create_stream_client(timeout=timeout)
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


# Runs.

MAX_STREAM_FAILURES = 3
"""Useless connections in a row after which the watch polls."""

# A silent connection of this length counts as useful: Replicate cuts it after 30 s, and a cold start takes longer.
USEFUL_STREAM_SECONDS = 10.0

SECONDS_BEFORE_RESUMING = 0.1

FIRST_POLL_SECONDS = 0.5
MAX_POLL_SECONDS = 2.0
_POLL_GROWTH = 1.15

# After `done` the prediction may still read `processing` for a moment.
SECONDS_AFTER_DONE = 0.2

# A run goes on at the service during an outage: wait for the service to return before giving the run up.
MAX_OUTAGE_SECONDS = 300.0

# A picture's stream carries no progress, and most pictures are done before this poll.
FIRST_POLL_BESIDE_STREAM_SECONDS = 30.0

# Later polls fetch the progress that people see.
SECONDS_BETWEEN_POLLS = 5.0

# A text is its own progress: polls only catch a stream that lost its `done`.
SECONDS_BETWEEN_TEXT_POLLS = 30.0

_MIN_FIRST_POLL_SECONDS = 5.0
_MAX_FIRST_POLL_SECONDS = 20.0

# Replicate allows 3,000 calls a minute besides creates; the rest is left for lists, uploads and cancels.
POLLS_PER_SECOND = 35.0


class PredictionPoller:
    """Polls predictions of all watches at one rate, first come, first served."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[CogPrediction]],
        clock: Clock,
        *,
        per_second: float = POLLS_PER_SECOND,
    ) -> None:
        self._get = get
        self._clock = clock
        self._bucket = TokenBucket(clock.monotonic, burst=1, per_second=per_second)

    async def poll(self, prediction_id: str, *, is_immediate: bool = False) -> CogPrediction:
        """Return a prediction. An immediate poll, for a run known to be over, spends from the rate without waiting."""
        wait = self._bucket.seconds_until_available()
        self._bucket.take()
        if wait and not is_immediate:
            await self._clock.sleep(wait)
        return await self._get(prediction_id)


class RunWatcher:
    """Follows one run. With `webhook_waiters`, pictures wait for webhooks instead of holding a stream each."""

    def __init__(
        self,
        model: Model,
        prediction_id: str,
        *,
        streams: ReplicateStreams,
        poller: PredictionPoller,
        stream_addresses: StreamAddresses,
        webhook_waiters: WebhookWaiters | None,
        clock: Clock,
    ) -> None:
        self._model = model
        self._id = prediction_id
        self._streams = streams
        self._poller = poller
        self._stream_addresses = stream_addresses
        self._webhook_waiters = webhook_waiters if not model.output.is_text else None
        self._clock = clock
        self._run_events = RunEvents(model)
        self._last_id = ""
        self._event_count = 0
        self._away_since: float | None = None
        self._events: asyncio.Queue[RunEvent | Exception] = asyncio.Queue()

    async def watch(self) -> AsyncGenerator[RunEvent, None]:
        """Yield every event up to `RunEnded`. Closing the iterator ends the watch's tasks and connection."""
        following = asyncio.create_task(self._follow())
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, RunEnded):
                    return
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        try:
            await self._find_stream()
            is_done = await (
                self._listen() if self._webhook_waiters is None else self._await_webhooks(self._webhook_waiters)
            )
            await self._poll(SECONDS_AFTER_DONE if is_done else FIRST_POLL_SECONDS)
        except Exception as error:
            self._events.put_nowait(error)

    async def _find_stream(self) -> None:
        """Poll for the stream's address if unknown, as after a restart."""
        while self._stream_addresses.get(self._id) is None:
            await self._poll_once()
            if self._away_since is not None:
                await self._clock.sleep(with_jitter(FIRST_POLL_SECONDS))

    async def _await_webhooks(self, webhook_waiters: WebhookWaiters) -> bool:
        """Wait for webhooks, or listen to the stream if webhooks do not arrive. Return whether the run is over."""
        if self._run_events.has_ended or not webhook_waiters.are_webhooks_arriving:
            return await self._listen()
        with webhook_waiters.register(self._id) as waiter:
            try:
                await self._run_beside_polls(
                    self._receive_webhooks(waiter), schedule_polls_beside_webhooks(self._model)
                )
            finally:  # the reader of the events closes the watch at `RunEnded`, which cancels this task
                if self._run_events.has_ended and not waiter.is_over:
                    webhook_waiters.record_missed()
        if not self._run_events.has_ended:
            await self._poll_once(is_immediate=True)
        return True

    async def _receive_webhooks(self, waiter: WebhookWaiter) -> bool:
        """Wait for the webhook of the end. A start is believed; an end is confirmed by a poll, which has the output."""
        while True:
            if waiter.has_started:
                self._emit(*self._run_events.mark_started())
            if waiter.is_over:
                return True
            await waiter.notified.wait()
            waiter.notified.clear()

    async def _listen(self) -> bool:
        """Follow the stream across broken connections. Return True at its end, False for a useless stream."""
        failures = 0
        while not self._run_events.has_ended and (url := self._stream_addresses.get(self._id)):
            opened_at, events_before = self._clock.monotonic(), self._event_count
            is_done = await self._listen_and_poll(url)
            if not self._run_events.has_ended:
                await self._poll_once(is_immediate=is_done)
            if is_done:
                return True
            lasted = self._clock.monotonic() - opened_at
            is_useful = self._event_count > events_before or lasted >= USEFUL_STREAM_SECONDS
            failures = 0 if is_useful else failures + 1
            if failures == MAX_STREAM_FAILURES:
                return False
            await self._clock.sleep(with_jitter(SECONDS_BEFORE_RESUMING + failures))
        return False

    async def _listen_and_poll(self, url: str) -> bool:
        """Listen to one connection beside polls. Return whether the run is over."""
        if not self._last_id:
            self._run_events.rewind()
        stream = self._streams.listen(url, self._last_id, self._handle_stream_event)
        return await self._run_beside_polls(stream, schedule_polls_beside_stream(self._model))

    async def _run_beside_polls(self, waiting: Coroutine[None, None, bool], gaps: Iterator[float]) -> bool:
        """Wait for an end that either the waiting or a poll finds. Return whether the run is over."""
        listening = asyncio.create_task(waiting)
        polling = asyncio.create_task(self._poll_on_schedule(gaps))
        await first_completed(listening, polling)
        return polling.result() if listening.cancelled() else listening.result()

    async def _poll_on_schedule(self, gaps: Iterator[float]) -> bool:
        while not self._run_events.has_ended:
            await self._clock.sleep(with_jitter(next(gaps)))
            await self._poll_once()
        return True

    async def _poll(self, seconds: float) -> None:
        while not self._run_events.has_ended:
            await self._clock.sleep(seconds * random.uniform(0.8, 1.0))  # noqa: S311 - only spreads load
            await self._poll_once()
            seconds = min(seconds * _POLL_GROWTH, MAX_POLL_SECONDS)

    async def _poll_once(self, *, is_immediate: bool = False) -> None:
        try:
            prediction = await self._poller.poll(self._id, is_immediate=is_immediate)
        except (BackendBusy, BackendDown) as error:
            self._tolerate_outage(error)
            return
        self._away_since = None
        self._stream_addresses.remember(prediction)
        self._emit(*self._run_events.read_prediction(prediction))

    def _tolerate_outage(self, error: BackendBusy | BackendDown) -> None:
        now = self._clock.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        log.warning("replicate.look_failed", extra={"prediction": self._id, "reason": type(error).__name__})
        if now - self._away_since > MAX_OUTAGE_SECONDS:
            raise error

    def _handle_stream_event(self, event: ServerSentEvent) -> None:
        if event.id:
            if not _is_later_event(event.id, self._last_id):
                return
            self._last_id = event.id
        self._event_count += 1
        self._emit(*self._run_events.read_stream_event(event))

    def _emit(self, *events: RunEvent) -> None:
        for event in events:
            self._events.put_nowait(event)


def schedule_polls_beside_stream(model: Model) -> Iterator[float]:
    """Yield the seconds from each poll to the next, without end."""
    if model.output.is_text:
        return repeat(SECONDS_BETWEEN_TEXT_POLLS)
    return chain([FIRST_POLL_BESIDE_STREAM_SECONDS], repeat(SECONDS_BETWEEN_POLLS))


def schedule_polls_beside_webhooks(model: Model) -> Iterator[float]:
    """Yield the seconds from each poll to the next, without end.

    The early poll comes when the run should be over, and finds progress, a cold start, or a missed webhook.
    """
    first = min(max(model.usual_seconds * 1.5 + 3, _MIN_FIRST_POLL_SECONDS), _MAX_FIRST_POLL_SECONDS)
    return chain([first, FIRST_POLL_BESIDE_STREAM_SECONDS - first], repeat(SECONDS_BETWEEN_POLLS))


def _is_later_event(event_id: str, last_id: str) -> bool:
    """Return whether an event is new. Ids are `<unix seconds>:<sequence>`; a resumed stream may repeat events."""
    try:
        return _parse_event_id(event_id) > _parse_event_id(last_id)
    except ValueError:
        return event_id != last_id


def _parse_event_id(event_id: str) -> tuple[int, int]:
    seconds, _, sequence = event_id.partition(":")
    return int(seconds), int(sequence)
