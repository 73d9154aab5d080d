"""One run at a backend, and what a backend tells about it while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from bot.core.json import JSON


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
