"""A backend that does what the test says: `Backend` worn by a script."""

import asyncio
import base64
import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from PIL import Image

from bot.core.clock import Clock
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    ModelFailed,
    ModelFlagged,
    PredictionGone,
    SubmitUnclear,
)
from bot.core.json import JSON, canonical
from bot.core.models import Model, OutputKind
from bot.core.predictions import (
    Ended,
    Event,
    InputFile,
    Inputs,
    Metrics,
    PredictionState,
    Progressed,
    Snapshot,
    Started,
    Wrote,
)

FLAGGED = "NSFW content detected."
PASSING = "Service is currently unavailable due to high demand (E003)"


def png(width: int = 32, height: int = 24, colour: str = "teal") -> bytes:
    """A small real picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(content: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


@dataclass
class Script:
    """What the next runs do."""

    words: tuple[str, ...] = ("A ", "short ", "answer.")
    pictures: int | None = None
    """How many pictures come; None for as many as were asked for."""
    picture: bytes = field(default_factory=png)
    error: str = ""
    percents: tuple[int, ...] = ()
    hangs_after: int | None = None
    """Words after which it goes on only when it is let go or cancelled."""
    metrics: Metrics = field(default_factory=lambda: Metrics(predict_seconds=1.5))
    outputs_are_gone: bool = False


@dataclass
class Run:
    """One prediction at this backend."""

    id: str
    model: Model
    inputs: Mapping[str, JSON]
    script: Script
    created_at: datetime
    state: PredictionState = PredictionState.STARTING
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedBackend:
    """Keeps every run; `runs` shows what was paid for, `cancelled` what was asked to stop."""

    name = "replicate"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.script = Script()
        self.runs: dict[str, Run] = {}
        self.cancelled: list[str] = []
        self.refusal: BackendError | None = None
        """Raised by every submit until it is None."""
        self.unclear_submits = 0
        """How many submits break after the run was created."""
        self.lost_submits = 0
        """How many submits break before anything was created."""
        self.watch_errors: list[BackendError] = []
        """Raised by the next watches, one each."""
        self.absence: BackendDown | None = None
        """Raised by `admit` until it is None."""
        self.is_free = asyncio.Event()
        """Cleared, creates wait in line."""
        self.is_free.set()
        self.waiting = 0
        """How many stand in that line."""
        self.starts = True
        """Whether a watch tells that a run began."""
        self.started_after_seconds: float | None = None
        """What it tells of when."""
        self.first_look_seconds = 0.0
        """How long a watch waits before it tells anything."""
        self.throttled_submits = 0
        """How many submits are refused as too many."""

    def will(self, **changes: object) -> None:
        """Change what the next runs do; see `Script`."""
        self.script = replace(self.script, **changes)  # type: ignore[arg-type]  # names are checked by replace

    @property
    def last(self) -> Run:
        return list(self.runs.values())[-1]

    def admit(self) -> None:
        if self.absence is not None:
            raise self.absence

    def check(self) -> None:
        self.admit()

    @asynccontextmanager
    async def turn(self, *, is_again: bool = False) -> AsyncIterator[None]:
        self.waiting += 1
        try:
            await self.is_free.wait()
        finally:
            self.waiting -= 1
        yield

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        return {
            name: f"data:{value.mime};sha256,{value.sha256}" if isinstance(value, InputFile) else value
            for name, value in inputs.items()
        }

    async def submit(self, model: Model, inputs: Mapping[str, JSON], *, job: str, cancel_after_seconds: int) -> str:
        if self.refusal is not None:
            raise self.refusal
        if self.throttled_submits > 0:
            self.throttled_submits -= 1
            raise BackendBusy("The model service is busy.", retry_after=1)
        if self.lost_submits > 0:
            self.lost_submits -= 1
            raise SubmitUnclear
        run = Run(f"run{len(self.runs) + 1}", model, dict(inputs), self.script, self._clock.now())
        self.runs[run.id] = run
        if self.unclear_submits > 0:
            self.unclear_submits -= 1
            raise SubmitUnclear
        return run.id

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[Event, None]:
        if self.watch_errors:
            raise self.watch_errors.pop(0)
        run = self.runs.get(backend_id)
        if run is None:
            raise PredictionGone("The run is gone.")
        if not run.state.is_final:
            run.state = PredictionState.PROCESSING
            if self.first_look_seconds:
                await self._clock.sleep(self.first_look_seconds)
            if self.starts:
                yield Started(self.started_after_seconds)
            for percent in run.script.percents:
                yield Progressed(percent)
            words = run.script.words if model.output is not OutputKind.PICTURES else ()
            for n, word in enumerate(words):
                await self._hang(run, n)
                if run.state is PredictionState.CANCELED:
                    break
                yield Wrote(word)
            await self._hang(run, len(words))
            if not run.state.is_final:
                run.state = PredictionState.FAILED if run.script.error else PredictionState.SUCCEEDED
        yield Ended(self._snapshot(run))

    async def cancel(self, backend_id: str) -> None:
        self.cancelled.append(backend_id)
        run = self.runs[backend_id]
        if not run.state.is_final:
            run.state = PredictionState.CANCELED
        run.let_go.set()

    async def find(self, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime) -> list[Snapshot]:
        wanted = canonical(inputs)
        return [
            self._snapshot(run)
            for run in self.runs.values()
            if run.model.key == model.key and canonical(run.inputs) == wanted and run.created_at >= created_after
        ]

    def explain(self, snapshot: Snapshot) -> ModelFailed | ModelFlagged:
        if snapshot.error == FLAGGED:
            return ModelFlagged("The model refused this as sensitive. You were not charged.")
        return ModelFailed(f"The model failed: {snapshot.error}. You were not charged.")

    def may_try_again(self, snapshot: Snapshot) -> bool:
        return snapshot.error == PASSING

    async def probe(self) -> str:
        return "The script answers."

    async def close(self) -> None:
        pass

    async def _hang(self, run: Run, words: int) -> None:
        if run.script.hangs_after == words:
            await run.let_go.wait()

    def _snapshot(self, run: Run) -> Snapshot:
        script = run.script
        succeeded = run.state is PredictionState.SUCCEEDED
        asked = run.inputs.get("num_outputs")
        count = script.pictures if script.pictures is not None else (asked if isinstance(asked, int) else 1)
        is_picture = run.model.output is OutputKind.PICTURES
        return Snapshot(
            backend_id=run.id,
            state=run.state,
            files=(data_url(script.picture),) * count
            if succeeded and is_picture and not script.outputs_are_gone
            else (),
            text="".join(script.words) if succeeded and not is_picture and not script.outputs_are_gone else "",
            error=script.error if run.state is PredictionState.FAILED else "",
            metrics=script.metrics,
            created_at=run.created_at,
            is_data_removed=script.outputs_are_gone,
        )
