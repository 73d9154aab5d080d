"""One run at a backend, and what a backend tells about it while it runs."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from bot.core.errors import BackendError
from bot.core.json import JSON
from bot.core.models import Model


class PredictionState(StrEnum):
    """The backend's word for where a run is. `ABORTED`: cancelled before it ever started."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        return self not in (PredictionState.STARTING, PredictionState.PROCESSING)


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """What was metered. None where the backend told nothing. `predict_seconds` is billed running time."""

    predict_seconds: float | None = None
    total_seconds: float | None = None
    images: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run as the backend describes it now.

    `files` are URLs (https: or data:) in order; `text` is the joined text so far.
    """

    backend_id: str
    state: PredictionState
    files: tuple[str, ...] = ()
    text: str = ""
    error: str = ""
    logs: str = ""
    metrics: RunMetrics = RunMetrics()
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    is_data_removed: bool = False
    """The backend has deleted inputs, outputs and logs: nothing can be fetched any more."""


@dataclass(frozen=True, slots=True)
class RunPending:
    """The backend was asked, and the model does not run yet: it is queued there, or starting cold."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The model began to run; until now it was queued or starting cold."""

    after_seconds: float | None = None
    """How long after it was created, by the backend's clock: it may have begun before anybody looked."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far the model is, 0 to 100, never falling within one watch."""

    percent: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text. Every watch begins at the first word, so that the texts of one watch add up to the whole."""

    text: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over; nothing follows. The snapshot is authoritative, also for the text."""

    snapshot: RunSnapshot


RunEvent: TypeAlias = RunPending | RunStarted | RunProgress | TextDelta | RunEnded


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file among a model's inputs: bytes we keep, addressed by their SHA-256."""

    sha256: str
    mime: str
    size_bytes: int
    path: str = field(repr=False)


Inputs: TypeAlias = "Mapping[str, JSON | InputFile]"


# MERGED Who runs predictions: the one small protocol that every backend implements.


@dataclass(frozen=True, slots=True)
class RunNotification:
    """A backend called us: something happened to a run of this job. `id` is the same however often it calls."""

    id: str
    job: str
    backend_id: str


RunNotificationHandler = Callable[[RunNotification], Awaitable[bool]]
"""Writes a notice down, and gives whether it is news."""


class Backend(Protocol):
    """Runs predictions. Every method raises a `BackendError` when the backend is at fault."""

    @property
    def name(self) -> str:
        """What the catalogue calls it, e.g. `replicate`."""
        ...

    def admit(self) -> None:
        """Let a new ask in. Raises `BackendDown` at once, before any money is held, while the backend is away."""
        ...

    def check(self) -> None:
        """Raise `BackendDown` while the backend is away: what a monitor asks. Changes nothing."""
        ...

    def slot_for_create(self, *, is_retry: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait in line for leave to create; submit once inside. Creates that were throttled go first (`is_retry`).

        Whoever leaves the line, by being cancelled, has spent nothing. Raises `BackendDown` like `admit`.
        """
        ...

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn files among the inputs into what the backend takes (data URLs, uploads). Spends nothing.

        The result is stored before `submit`, so that a crash can be matched with what was sent.
        """
        ...

    async def submit(self, model: Model, inputs: Mapping[str, JSON], *, job: str, cancel_after_seconds: int) -> str:
        """Create a prediction and give its id at once.

        Never sent twice: raises `SubmitUnclear` when a broken create may have arrived, and `BackendBusy` when it was
        throttled: nothing was created, and it takes another turn.
        """
        ...

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """What happens to a run, from its first word to one `Ended`. May be called again, also after a restart."""
        ...

    async def cancel(self, backend_id: str) -> None:
        """Ask for a run to stop. Harmless when it is over."""
        ...

    async def find(self, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime) -> list[RunSnapshot]:
        """Runs of this model with equal inputs, created since, oldest first: what an unclear submit may have made."""
        ...

    def explain(self, snapshot: RunSnapshot) -> BackendError:
        """Why an ended run gave nothing, in words a person can act on: `ModelFailed` or `ModelFlagged`."""
        ...

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Whether a failed run failed of something passing, so that another one is worth its price."""
        ...

    async def probe(self) -> str:
        """Check token and reach; gives one sentence for the owner."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
