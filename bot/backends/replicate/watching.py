"""Following one run to its end: by its stream or by webhooks, by looks now and then, and by polling without either."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Coroutine, Iterator

from bot.backends.replicate import polling
from bot.backends.replicate.polling import PredictionPoller, with_jitter
from bot.backends.replicate.run_events import RunEvents
from bot.backends.replicate.streams import ReplicateStreams, StreamAddresses
from bot.backends.replicate.webhooks import WebhookWaiter, WebhookWaiters
from bot.backends.sse import ServerSentEvent
from bot.core.backend import RunEnded, RunEvent
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown
from bot.core.models import Model, OutputKind

log = logging.getLogger(__name__)

MAX_STREAM_FAILURES = 3
"""So many connections in a row that brought nothing, and we poll."""

USEFUL_STREAM_SECONDS = 10.0
"""A connection that held so long was good, even in silence: Replicate cuts it after 30 s, a cold start takes longer."""

SECONDS_BEFORE_RESUMING = 0.1

FIRST_POLL_SECONDS = 0.5
MAX_POLL_SECONDS = 2.0
_POLL_GROWTH = 1.15

SECONDS_AFTER_DONE = 0.2
"""The stream says done, the prediction does not yet: look again this soon."""

MAX_OUTAGE_SECONDS = 300.0
"""A run goes on while we cannot reach the service; so long we wait for the service to come back."""


class RunWatcher:
    """One run being followed. With `bells`, pictures wait for webhooks instead of holding a stream each."""

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
        self._webhook_waiters = webhook_waiters if model.output is OutputKind.PICTURES else None
        self._clock = clock
        self._run_events = RunEvents(model)
        self._last_id = ""
        self._event_count = 0
        self._away_since: float | None = None
        self._events: asyncio.Queue[RunEvent | Exception] = asyncio.Queue()

    async def watch(self) -> AsyncGenerator[RunEvent, None]:
        """Everything, up to `Ended`. Closing the iterator stops all that was started for it."""
        following = asyncio.create_task(self._follow())
        try:
            while True:
                told = await self._events.get()
                if isinstance(told, Exception):
                    raise told
                yield told
                if isinstance(told, RunEnded):
                    return
        finally:
            await _stop(following)

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
        """Unknown after a restart: one look tells, also that there is none."""
        while self._stream_addresses.get(self._id) is None:
            await self._poll_once()
            if self._away_since is not None:
                await self._clock.sleep(with_jitter(FIRST_POLL_SECONDS))

    async def _await_webhooks(self, webhook_waiters: WebhookWaiters) -> bool:
        """Wait to be called by webhooks, as long as they come at all. True when it is over."""
        if self._run_events.has_ended or not webhook_waiters.are_webhooks_arriving:
            return await self._listen()
        with webhook_waiters.register(self._id) as bell:
            try:
                await self._run_beside_polls(
                    self._receive_webhooks(bell), polling.schedule_polls_beside_webhooks(self._model)
                )
            finally:  # whoever reads the events leaves at the end, and we are stopped
                if self._run_events.has_ended and not bell.is_over:
                    webhook_waiters.record_missed()
        if not self._run_events.has_ended:
            await self._poll_once(is_immediate=True)
        return True

    async def _receive_webhooks(self, waiter: WebhookWaiter) -> bool:
        """A webhook is believed when it says that the run began; of its end the look alone convinces."""
        while True:
            if waiter.has_started:
                self._emit(*self._run_events.mark_started())
            if waiter.is_over:
                return True
            await waiter.notified.wait()
            waiter.notified.clear()

    async def _listen(self) -> bool:
        """Follow the stream across cuts. True when it is done; False when it is of no use."""
        failures = 0
        while not self._run_events.has_ended and (url := self._stream_addresses.get(self._id)):
            opened_at, heard_before = self._clock.monotonic(), self._event_count
            is_done = await self._listen_and_poll(url)
            if not self._run_events.has_ended:
                await self._poll_once(is_immediate=is_done)
            if is_done:
                return True
            lasted = self._clock.monotonic() - opened_at
            is_useful = self._event_count > heard_before or lasted >= USEFUL_STREAM_SECONDS
            failures = 0 if is_useful else failures + 1
            if failures == MAX_STREAM_FAILURES:
                return False
            await self._clock.sleep(with_jitter(SECONDS_BEFORE_RESUMING + failures))
        return False

    async def _listen_and_poll(self, url: str) -> bool:
        """One connection to the stream; True when the run is over."""
        if not self._last_id:
            self._run_events.rewind()
        stream = self._streams.listen(url, self._last_id, self._handle_stream_event)
        return await self._run_beside_polls(stream, polling.schedule_polls_beside_stream(self._model))

    async def _run_beside_polls(self, waiting: Coroutine[None, None, bool], gaps: Iterator[float]) -> bool:
        listening = asyncio.create_task(waiting)
        glancing = asyncio.create_task(self._poll_on_schedule(gaps))
        try:
            await asyncio.wait({listening, glancing}, return_when=asyncio.FIRST_COMPLETED)
            return listening.result() if listening.done() else glancing.result()
        finally:
            await _stop(listening, glancing)

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


def _is_later_event(event_id: str, last_id: str) -> bool:
    """Whether an event is new. Ids are `<unix seconds>:<sequence>`; a resumed stream may repeat some."""
    try:
        return _parse_event_id(event_id) > _parse_event_id(last_id)
    except ValueError:
        return event_id != last_id


def _parse_event_id(event_id: str) -> tuple[int, int]:
    seconds, _, sequence = event_id.partition(":")
    return int(seconds), int(sequence)


async def _stop(*tasks: asyncio.Task[bool] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
