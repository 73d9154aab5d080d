"""Following one run to its end: by its stream or by webhooks, by looks now and then, and by polling without either."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Coroutine, Iterator

from bot.backends.replicate import glances
from bot.backends.replicate.addresses import StreamAddresses
from bot.backends.replicate.bells import Bell, Bells
from bot.backends.replicate.patience import later
from bot.backends.replicate.poller import Poller
from bot.backends.replicate.story import Story
from bot.backends.replicate.streams import Streams
from bot.backends.sse import ServerSentEvent
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown
from bot.core.models import Model, OutputKind
from bot.core.predictions import Ended, Event

log = logging.getLogger(__name__)

STREAM_FAILURES = 3
"""So many connections in a row that brought nothing, and we poll."""

USEFUL_STREAM_SECONDS = 10.0
"""A connection that held so long was good, even in silence: Replicate cuts it after 30 s, a cold start takes longer."""

SECONDS_BEFORE_RESUMING = 0.1

FIRST_POLL_SECONDS = 0.5
SLOWEST_POLL_SECONDS = 2.0
_POLL_GROWTH = 1.15

SOON_SECONDS = 0.2
"""The stream says done, the prediction does not yet: look again this soon."""

LONGEST_OUTAGE_SECONDS = 300.0
"""A run goes on while we cannot reach the service; so long we wait for the service to come back."""


class Watch:
    """One run being followed. With `bells`, pictures wait for webhooks instead of holding a stream each."""

    def __init__(
        self,
        model: Model,
        prediction_id: str,
        *,
        streams: Streams,
        poller: Poller,
        addresses: StreamAddresses,
        bells: Bells | None,
        clock: Clock,
    ) -> None:
        self._model = model
        self._id = prediction_id
        self._streams = streams
        self._poller = poller
        self._addresses = addresses
        self._bells = bells if model.output is OutputKind.PICTURES else None
        self._clock = clock
        self._story = Story(model)
        self._last_id = ""
        self._heard = 0
        self._away_since: float | None = None
        self._told: asyncio.Queue[Event | Exception] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Everything, up to `Ended`. Closing the iterator stops all that was started for it."""
        following = asyncio.create_task(self._follow())
        try:
            while True:
                told = await self._told.get()
                if isinstance(told, Exception):
                    raise told
                yield told
                if isinstance(told, Ended):
                    return
        finally:
            await _stop(following)

    async def _follow(self) -> None:
        try:
            await self._find_stream()
            is_done = await (self._listen() if self._bells is None else self._await_calls(self._bells))
            await self._poll(SOON_SECONDS if is_done else FIRST_POLL_SECONDS)
        except Exception as error:
            self._told.put_nowait(error)

    async def _find_stream(self) -> None:
        """Unknown after a restart: one look tells, also that there is none."""
        while self._addresses.of(self._id) is None:
            await self._look()
            if self._away_since is not None:
                await self._clock.sleep(later(FIRST_POLL_SECONDS))

    async def _await_calls(self, bells: Bells) -> bool:
        """Wait to be called by webhooks, as long as they come at all. True when it is over."""
        if self._story.has_ended or not bells.are_heard:
            return await self._listen()
        with bells.listening(self._id) as bell:
            try:
                await self._beside_glances(self._hear_calls(bell), glances.beside_webhooks(self._model))
            finally:  # whoever reads the events leaves at the end, and we are stopped
                if self._story.has_ended and not bell.is_over:
                    bells.missed()
        if not self._story.has_ended:
            await self._look(at_once=True)
        return True

    async def _hear_calls(self, bell: Bell) -> bool:
        """A webhook is believed when it says that the run began; of its end the look alone convinces."""
        while True:
            if bell.has_started:
                self._tell(*self._story.started())
            if bell.is_over:
                return True
            await bell.rung.wait()
            bell.rung.clear()

    async def _listen(self) -> bool:
        """Follow the stream across cuts. True when it is done; False when it is of no use."""
        failures = 0
        while not self._story.has_ended and (url := self._addresses.of(self._id)):
            opened_at, heard_before = self._clock.monotonic(), self._heard
            is_done = await self._listen_and_glance(url)
            if not self._story.has_ended:
                await self._look(at_once=is_done)
            if is_done:
                return True
            lasted = self._clock.monotonic() - opened_at
            is_useful = self._heard > heard_before or lasted >= USEFUL_STREAM_SECONDS
            failures = 0 if is_useful else failures + 1
            if failures == STREAM_FAILURES:
                return False
            await self._clock.sleep(later(SECONDS_BEFORE_RESUMING + failures))
        return False

    async def _listen_and_glance(self, url: str) -> bool:
        """One connection to the stream; True when the run is over."""
        if not self._last_id:
            self._story.rewind()
        stream = self._streams.listen(url, self._last_id, self._hear)
        return await self._beside_glances(stream, glances.beside_a_stream(self._model))

    async def _beside_glances(self, waiting: Coroutine[None, None, bool], gaps: Iterator[float]) -> bool:
        listening = asyncio.create_task(waiting)
        glancing = asyncio.create_task(self._glance(gaps))
        try:
            await asyncio.wait({listening, glancing}, return_when=asyncio.FIRST_COMPLETED)
            return listening.result() if listening.done() else glancing.result()
        finally:
            await _stop(listening, glancing)

    async def _glance(self, gaps: Iterator[float]) -> bool:
        while not self._story.has_ended:
            await self._clock.sleep(later(next(gaps)))
            await self._look()
        return True

    async def _poll(self, seconds: float) -> None:
        while not self._story.has_ended:
            await self._clock.sleep(seconds * random.uniform(0.8, 1.0))  # noqa: S311 - only spreads load
            await self._look()
            seconds = min(seconds * _POLL_GROWTH, SLOWEST_POLL_SECONDS)

    async def _look(self, *, at_once: bool = False) -> None:
        try:
            prediction = await self._poller.look(self._id, at_once=at_once)
        except (BackendBusy, BackendDown) as error:
            self._wait_out(error)
            return
        self._away_since = None
        self._addresses.learn(prediction)
        self._tell(*self._story.read(prediction))

    def _wait_out(self, error: BackendBusy | BackendDown) -> None:
        now = self._clock.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        log.warning("replicate.look_failed", extra={"prediction": self._id, "reason": type(error).__name__})
        if now - self._away_since > LONGEST_OUTAGE_SECONDS:
            raise error

    def _hear(self, event: ServerSentEvent) -> None:
        if event.id:
            if not _follows(event.id, self._last_id):
                return
            self._last_id = event.id
        self._heard += 1
        self._tell(*self._story.hear(event))

    def _tell(self, *events: Event) -> None:
        for event in events:
            self._told.put_nowait(event)


def _follows(event_id: str, last_id: str) -> bool:
    """Whether an event is new. Ids are `<unix seconds>:<sequence>`; a resumed stream may repeat some."""
    try:
        return _order(event_id) > _order(last_id)
    except ValueError:
        return event_id != last_id


def _order(event_id: str) -> tuple[int, int]:
    seconds, _, sequence = event_id.partition(":")
    return int(seconds), int(sequence)


async def _stop(*tasks: asyncio.Task[bool] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
