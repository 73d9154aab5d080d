"""Runs that live in this process: for servers whose reply to the create is the run itself, such as a stream of text.

A restart forgets the runs: `watch` then raises `RunLost`, and the job ends as the backend's `lost_runs` says.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.backend import (
    PredictionState,
    RunEnded,
    RunEvent,
    RunPreview,
    RunProgress,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.clock import Clock
from bot.core.errors import BackendError, ModelFailed, RunLost
from bot.core.limits import MAX_ENDED_RUNS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _OwnedRun:
    """One run. `events` are replayed to each watch."""

    id: str
    events: list[RunEvent] = field(default_factory=list)
    """All events but previews."""
    preview: RunPreview | None = None
    text: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Replaced after each event."""
    error: BackendError | None = None
    """The end of a run that ended without `RunEnded`."""
    is_cancelled: bool = False
    started_at: datetime | None = None
    """The time of the first sign that the model runs: the price of a second counts from here."""
    task: "asyncio.Task[None] | None" = None

    @property
    def has_ended(self) -> bool:
        return self.error is not None or bool(self.events and isinstance(self.events[-1], RunEnded))

    def add(self, event: RunEvent, now: datetime) -> None:
        if self.started_at is None and isinstance(event, RunStarted | RunProgress | RunPreview | TextDelta):
            self.started_at = now
        match event:
            case RunPreview():
                self.preview = event
            case RunEnded(snapshot):
                ended = replace(snapshot, backend_id=self.id, started_at=self.started_at, completed_at=now)
                self.events.append(RunEnded(ended))
            case TextDelta(text):
                self.text += text
                self.events.append(event)
            case _:
                self.events.append(event)
        self.notify()

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class OwnedRuns:
    """The runs of one backend."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._runs: dict[str, _OwnedRun] = {}

    async def start(self, run_id: str, events: AsyncGenerator[RunEvent, None], *, max_seconds: float) -> str:
        """Consume the events of a run in a task, and return the id once the first event came.

        The first event means that the server has the request: an error before (`BackendDown`) is raised here, and no
        run exists. The events end with `RunEnded`, or with a `BackendError`: each watch raises `RunLost`, any other
        error ends the run as failed. After `max_seconds` the run fails.
        """
        self._forget_old_runs()
        run = self._runs[run_id] = _OwnedRun(run_id)
        began = run.changed
        run.task = asyncio.create_task(self._consume(run, events, max_seconds), name=f"{self._name} run")
        try:
            await began.wait()
        except asyncio.CancelledError:
            await self.cancel(run_id)
            raise
        if run.error is not None and not run.events:
            del self._runs[run_id]
            raise run.error
        return run_id

    async def watch(self, run_id: str) -> AsyncGenerator[RunEvent, None]:
        """Yield the events of a run from the first. Raise `RunLost` for a run of another process."""
        run = self._runs.get(run_id)
        if run is None:
            raise RunLost("I was restarted while this ran, and the model's server does not keep what it made.")
        position, shown = 0, None
        while True:
            changed = run.changed
            events, position = run.events[position:], len(run.events)
            for event in events:
                yield event
                if isinstance(event, RunEnded):
                    return
            if run.preview is not None and run.preview is not shown:
                shown = run.preview
                yield shown
            if run.error is not None:
                raise run.error
            if not changed.is_set():
                await changed.wait()

    def get_error(self, run_id: str) -> BackendError | None:
        """Return the error that ended a run, if an error did."""
        run = self._runs.get(run_id)
        return run.error if run is not None else None

    def is_running(self, run_id: str) -> bool:
        """Return whether a run of this process has not ended."""
        run = self._runs.get(run_id)
        return run is not None and not run.has_ended

    async def cancel(self, run_id: str) -> None:
        """End a run: the connection to the server closes. Harmless for a run that has ended."""
        run = self._runs.get(run_id)
        if run is None or run.task is None or run.has_ended:
            return
        run.is_cancelled = True
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)

    async def close(self) -> None:
        """End all runs; the jobs stay, and find their runs lost after the next start."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _consume(self, run: _OwnedRun, events: AsyncGenerator[RunEvent, None], max_seconds: float) -> None:
        try:
            async with asyncio.timeout(max_seconds), aclosing(events):
                async for event in events:
                    run.add(event, self._clock.now())
            if not run.has_ended:
                self._fail(run, ModelFailed("The model's server ended the run without a result. You were not charged."))
        except BackendError as error:
            self._fail(run, error)
        except TimeoutError:
            self._fail(run, ModelFailed("The model's server took too long. You were not charged."))
        except asyncio.CancelledError:
            if not run.is_cancelled:
                run.error = RunLost("I was stopped while this ran.")
                raise
            self._end(run, PredictionState.CANCELED)
        except Exception:  # a reply of a form that nobody foresaw: the run is over in any case
            log.exception("backend.run_broke", extra={"backend": self._name})
            self._fail(run, ModelFailed("The model's server answered in a way that I do not understand."))
        finally:
            run.notify()

    def _fail(self, run: _OwnedRun, error: BackendError) -> None:
        """Keep the error. A run that began ends as failed; `RunLost` is for the watches to raise."""
        run.error = error
        if run.events and not isinstance(error, RunLost):
            self._end(run, PredictionState.FAILED, str(error))

    def _end(self, run: _OwnedRun, state: PredictionState, error: str = "") -> None:
        run.add(RunEnded(RunSnapshot(run.id, state, text=run.text, error=error)), self._clock.now())

    def _forget_old_runs(self) -> None:
        ended = [run for run in self._runs.values() if run.has_ended]
        for run in ended[: max(0, len(ended) - MAX_ENDED_RUNS)]:
            del self._runs[run.id]
