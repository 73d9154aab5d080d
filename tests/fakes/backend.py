"""A backend that follows a test's script; implements `core.backend.Backend` and `core.backend.ModelDirectory`."""

import asyncio
import base64
import functools
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp.web import RouteDef
from PIL import Image

from bot.core.backend import (
    BackendConfig,
    BackendKind,
    Deployment,
    InputFile,
    Inputs,
    PredictionState,
    RunEnded,
    RunEvent,
    RunMetrics,
    RunNotificationHandler,
    RunPreviewFile,
    RunProgress,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
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
from bot.core.json import JSON, canonicalize
from bot.core.models import (
    FieldKind,
    Model,
    ModelListing,
    ModelSchema,
    OutputKind,
    PublishedVersion,
    SchemaField,
    Task,
)
from bot.core.transcripts import Passage
from tests.media.recordings import make_wav, make_webm

FLAGGED_ERROR = "NSFW content detected."
VERSION = "5" * 64
"""The only version of every model that the scripted directory shows."""
TRANSIENT_ERROR = "Service is currently unavailable due to high demand (E003)"


@functools.lru_cache(maxsize=64)
def make_png(width: int = 32, height: int = 24, colour: str = "teal") -> bytes:
    """Return a small real picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_data_url(content: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


FIELDS = (
    SchemaField("prompt", frozenset((FieldKind.TEXT,)), is_required=True),
    SchemaField("steps", frozenset((FieldKind.INTEGER,)), default=28, minimum=1, maximum=50),
    SchemaField("style", frozenset((FieldKind.TEXT,)), default="oil", choices=("oil", "ink")),
    SchemaField("fast", frozenset((FieldKind.BOOLEAN,)), default=True),
    SchemaField("guidance", frozenset((FieldKind.NUMBER,)), minimum=0, maximum=10),
    SchemaField("words", frozenset((FieldKind.TEXTS,))),
    SchemaField("extra", frozenset((FieldKind.OTHER,))),
    SchemaField("image", frozenset((FieldKind.FILE,))),
)
"""The inputs of every model that the scripted directory shows: more than one form of Discord takes."""


_MAKE_CONTENT: Mapping[OutputKind, Callable[[], bytes]] = {
    OutputKind.PICTURES: make_png,
    OutputKind.AUDIO: make_wav,
    OutputKind.VIDEO: make_webm,
    OutputKind.FILES: make_png,
}


class ScriptedDeployments:
    """One deployment, which every change leaves as it is."""

    def __init__(self) -> None:
        self.only = Deployment("owner/fast", "owner/painter", VERSION, "gpu-t4", 0, 1, 1)
        self.error: Exception | None = None
        """Raised by every update while set."""

    async def list(self) -> AsyncIterator[Deployment]:
        yield self.only

    async def find(self, name: str) -> Deployment:
        return self.only

    async def create(self, name: str, **_: object) -> Deployment:
        return self.only

    async def update(self, name: str, **_: object) -> Deployment:
        if self.error is not None:
            raise self.error
        return self.only

    async def delete(self, name: str) -> None:
        pass

    async def check_hardware(self, sku: str) -> None:
        pass


@dataclass
class RunScript:
    """The behaviour of the next runs."""

    words: tuple[str, ...] = ("A ", "short ", "answer.")
    pictures: int | None = None
    """The number of pictures; None for the requested number."""
    picture: bytes | None = None
    """The content of each file; None for a small picture, sound or video, as the model gives."""
    error: str = ""
    percents: tuple[int, ...] = ()
    hangs_after: int | None = None
    """The number of words after which a run waits for `released` or a cancel."""
    metrics: RunMetrics = field(default_factory=lambda: RunMetrics(predict_seconds=1.5))
    outputs_are_gone: bool = False
    previews: tuple[str, ...] = ()
    """Addresses of unfinished pictures, before the words."""
    passages: tuple[Passage, ...] = ()
    """The timed words of a transcript."""


def get_words(inputs: Mapping[str, JSON]) -> str:
    """Return the words among inputs: the prompt, or all messages of a conversation, one after the other."""
    messages = inputs.get("messages")
    turns = messages if isinstance(messages, list) else [{"content": inputs["prompt"]}]
    return "\n".join(str(turn["content"]) for turn in turns if isinstance(turn, dict))


@dataclass
class ScriptedRun:
    """A prediction at this backend."""

    id: str
    model: Model
    inputs: Mapping[str, JSON]
    script: RunScript
    created_at: datetime
    state: PredictionState = PredictionState.STARTING
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def words(self) -> str:
        """The words that reach the model: the prompt, or all messages of a conversation, one after the other."""
        return get_words(self.inputs)

    @property
    def pictures(self) -> list[str]:
        """The pictures that reach the model, under whatever name of their field."""
        given = [self.inputs[name] for name in ("image", "images", "image_input") if name in self.inputs]
        return [str(file) for value in given for file in (value if isinstance(value, list) else [value])]

    @property
    def picture(self) -> str:
        """The first picture that reaches the model."""
        return self.pictures[0]


class ScriptedBackend:
    """Keeps every run: the owner pays for all `runs`; `cancelled` lists the ids of cancel calls."""

    def __init__(self, clock: Clock, name: str = "replicate", **config: Any) -> None:
        self.name = name
        self.config = BackendConfig(name, BackendKind.REPLICATE, "https://scripted.test", **config)
        self.finds_runs = True
        self.keeps_runs = False
        self.deployments = ScriptedDeployments()
        self._clock = clock
        self.script = RunScript()
        self.answers: list[Sequence[str]] = []
        """The words of the next runs of chat models, in order; after them the script's."""
        self.runs: dict[str, ScriptedRun] = {}
        self.cancelled: list[str] = []
        self.cancel_error: BackendError | None = None
        """Raised by every cancel while set."""
        self.submit_error: BackendError | None = None
        """Raised by every submit while set."""
        self.unclear_submits = 0
        """The number of submits to break after the run is created."""
        self.lost_submits = 0
        """The number of submits to break before a run is created."""
        self.throttled_submits = 0
        """The number of submits to refuse as too many."""
        self.watch_errors: list[BackendError] = []
        """Raised by the next watches, in order."""
        self.admit_error: BackendDown | None = None
        """Raised by `admit` while set."""
        self.create_allowed = asyncio.Event()
        """While cleared, creates wait for their slots."""
        self.create_allowed.set()
        self.waiting_count = 0
        """The number of creates waiting for a slot."""
        self.reports_start = True
        """Whether a watch yields `RunStarted`."""
        self.started_after_seconds: float | None = None
        """The time in `RunStarted`."""
        self.first_look_seconds = 0.0
        """The time before a watch yields the first event."""
        self.clock_lag_seconds = 0.0
        """The backend's clock is behind the bot's by this much."""
        self._closed_until = 0.0  # on the monotonic clock

    def will(self, **changes: object) -> None:
        """Change fields of the script for the next runs."""
        self.script = replace(self.script, **changes)  # type: ignore[arg-type]  # names are checked by replace

    @property
    def last_run(self) -> ScriptedRun:
        return list(self.runs.values())[-1]

    def admit(self) -> None:
        if self.admit_error is not None:
            raise self.admit_error

    def check(self) -> None:
        self.admit()

    @asynccontextmanager
    async def slot_for_create(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        self.waiting_count += 1
        try:
            await self.create_allowed.wait()
            if (wait := self._closed_until - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
        finally:
            self.waiting_count -= 1
        yield

    async def forget(self, backend_id: str) -> None:
        pass

    def routes(self, take: RunNotificationHandler) -> list[RouteDef]:
        return []

    async def search_models(self, text: str, *, limit: int) -> list[ModelListing]:
        return [ModelListing("owner/painter", "Draws.", 1_000)]

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        return ModelSchema(ref, VERSION, VERSION, fields=FIELDS, output=OutputKind.PICTURES, description="Draws.")

    async def list_versions(self, ref: str, *, limit: int) -> list[PublishedVersion]:
        return [PublishedVersion(VERSION)]

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        def make_url(file: InputFile) -> JSON:
            return f"data:{file.mime};sha256,{file.sha256}"

        prepared: dict[str, JSON] = {}
        for name, value in inputs.items():
            if isinstance(value, tuple):
                prepared[name] = [make_url(file) for file in value]
            else:
                prepared[name] = make_url(value) if isinstance(value, InputFile) else value
        return prepared

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        if self.submit_error is not None:
            raise self._throttle(self.submit_error)
        if self.throttled_submits > 0:
            self.throttled_submits -= 1
            raise self._throttle(BackendBusy("The model service is busy.", retry_after_seconds=1))
        if self.lost_submits > 0:
            self.lost_submits -= 1
            raise SubmitUnclear
        created_at = self._clock.now() - timedelta(seconds=self.clock_lag_seconds)
        script = self.script
        if self.answers and model.task is Task.CHAT:
            script = replace(script, words=tuple(self.answers.pop(0)))
        made = ScriptedRun(f"run{len(self.runs) + 1}", model, dict(inputs), script, created_at)
        self.runs[made.id] = made
        if self.unclear_submits > 0:
            self.unclear_submits -= 1
            raise SubmitUnclear
        return made.id

    def _throttle(self, error: BackendError) -> BackendError:
        """Close the creates until the time named by a 429, as Replicate's create limiter does."""
        if isinstance(error, BackendBusy):
            self._closed_until = self._clock.monotonic() + (error.retry_after_seconds or 0)
        return error

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        if self.watch_errors:
            raise self.watch_errors.pop(0)
        run = self.runs.get(backend_id)
        if run is None:
            raise PredictionGone("The run is gone.")
        if not run.state.is_final:
            run.state = PredictionState.PROCESSING
            if self.first_look_seconds:
                await self._clock.sleep(self.first_look_seconds)
            if self.reports_start:
                yield RunStarted(self.started_after_seconds)
            for percent in run.script.percents:
                yield RunProgress(percent)
            for url in run.script.previews:
                yield RunPreviewFile(url)
            words = run.script.words if model.output.is_text else ()
            for n, word in enumerate(words):
                await self._wait_if_hanging(run, n)
                if run.state is PredictionState.CANCELED:
                    break
                yield TextDelta(word)
            await self._wait_if_hanging(run, len(words))
            if not run.state.is_final:
                run.state = PredictionState.FAILED if run.script.error else PredictionState.SUCCEEDED
        yield RunEnded(self._snapshot(run))

    async def cancel(self, backend_id: str) -> None:
        self.cancelled.append(backend_id)
        if self.cancel_error is not None:
            raise self.cancel_error
        run = self.runs[backend_id]
        if not run.state.is_final:
            run.state = PredictionState.CANCELED
        run.released.set()

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        wanted = canonicalize(inputs)
        return [
            self._snapshot(made)
            for made in self.runs.values()
            if made.model.key == model.key and canonicalize(made.inputs) == wanted and made.created_at >= created_after
        ]

    def explain(self, snapshot: RunSnapshot) -> ModelFailed | ModelFlagged:
        if snapshot.error == FLAGGED_ERROR:
            return ModelFlagged("The model refused this as sensitive. You were not charged.")
        return ModelFailed(f"The model failed: {snapshot.error}. You were not charged.")

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        return snapshot.error == TRANSIENT_ERROR

    async def probe(self) -> str:
        return "The script answers."

    async def close(self) -> None:
        pass

    async def _wait_if_hanging(self, run: ScriptedRun, words: int) -> None:
        if run.script.hangs_after == words:
            await run.released.wait()

    def _snapshot(self, run: ScriptedRun) -> RunSnapshot:
        script = run.script
        succeeded = run.state is PredictionState.SUCCEEDED
        asked = run.inputs.get("num_outputs")
        count = script.pictures if script.pictures is not None else (asked if isinstance(asked, int) else 1)
        has_files = not run.model.output.is_text
        return RunSnapshot(
            backend_id=run.id,
            state=run.state,
            files=(make_data_url(script.picture or _MAKE_CONTENT[run.model.output]()),) * count
            if succeeded and has_files and not script.outputs_are_gone
            else (),
            text="".join(script.words) if succeeded and not has_files and not script.outputs_are_gone else "",
            error=script.error if run.state is PredictionState.FAILED else "",
            metrics=script.metrics,
            created_at=run.created_at,
            is_data_removed=script.outputs_are_gone,
            passages=script.passages if succeeded else (),
        )
