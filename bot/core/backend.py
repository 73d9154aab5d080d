"""The protocol of backends, with the configuration, runs, run events and inputs in its signatures."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlsplit

from bot.core.errors import BackendError
from bot.core.json import JSON
from bot.core.models import Metric, Model, ModelListing, ModelSchema, PublishedVersion
from bot.core.transcripts import Passage

if TYPE_CHECKING:
    from aiohttp.web import RouteDef


class BackendKind(StrEnum):
    """The API that a server speaks."""

    REPLICATE = "replicate"
    OPENAI = "openai"
    COG = "cog"
    COMFYUI = "comfyui"
    A1111 = "a1111"


class LostRuns(StrEnum):
    """The end of a run that a crash or a broken connection lost, where the server does not know the run any more."""

    REFUND = "refund"
    """The user pays nothing: right for the owner's own hardware."""
    CHARGE = "charge"
    """The user pays the maximum: right for a paid API, which may have billed the run."""


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """A table `[backends.NAME]` of the catalogue file."""

    name: str
    kind: BackendKind
    url: str
    """The server's base address, without a slash at the end."""
    key: str = field(default="", repr=False)
    """The secret of the variable `key_env`; empty where the server needs none."""
    key_env: str = ""
    at_once: int | None = None
    """The maximum number of simultaneous runs of all models of the server; None for no maximum."""
    lost_runs: LostRuns = LostRuns.REFUND
    folder: Path = Path()
    """The folder of the catalogue file: `ref` may name a file there."""

    @property
    def origin(self) -> str:
        """Return scheme, host and port: the only address that the key and the exemption from the guard are for."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class PredictionState(StrEnum):
    """The state of a run, in the backend's words. `ABORTED` is cancelled before the start."""

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
    """The metering of a run, None where the backend reports no value. `predict_seconds` is the billed running time."""

    predict_seconds: float | None = None
    total_seconds: float | None = None
    amounts: Mapping[Metric, float] = field(default_factory=dict)
    """The other metered amounts."""

    def get(self, metric: Metric) -> float | None:
        """Return the metered amount of a metric; None if the backend did not meter the metric."""
        return self.predict_seconds if metric is Metric.PREDICT_TIME else self.amounts.get(metric)


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """The current state of a run at the backend.

    `files` are in order: URLs (https:, data:, or of the backend's own origin), or the bytes of files that have no
    address. `text` is the joined text so far.
    """

    backend_id: str
    state: PredictionState
    files: tuple[str | bytes, ...] = field(default=(), repr=False)
    text: str = ""
    error: str = ""
    logs: str = ""
    metrics: RunMetrics = RunMetrics()
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    is_data_removed: bool = False
    """The backend deleted inputs, outputs and logs: no file can be fetched any more."""
    passages: tuple[Passage, ...] = ()
    """The timed words of a transcript, where the model tells times."""


@dataclass(frozen=True, slots=True)
class RunPending:
    """The backend accepted the run; the model is queued or starts cold."""

    position: int | None = None
    """The place in the backend's own queue, with the runs of others: 1 is next; None for a backend that tells none."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The model began to run."""

    after_seconds: float | None = None
    """Seconds from creation to start by the backend's clock: the run may have begun before the watch."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of the model, 0 to 100, never falling within one watch."""

    percent: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text. Every watch starts from the first word: the deltas of one watch add up to the whole text."""

    text: str


@dataclass(frozen=True, slots=True)
class RunPreview:
    """An unfinished picture, as the file's bytes. A later preview replaces the earlier; a preview may be dropped."""

    data: bytes = field(repr=False)
    mime: str


@dataclass(frozen=True, slots=True)
class RunPreviewFile:
    """An unfinished picture, as the address of a file at the backend. Otherwise like `RunPreview`."""

    url: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event of a watch. The snapshot is authoritative, also for the text."""

    snapshot: RunSnapshot


RunEvent: TypeAlias = RunPending | RunStarted | RunProgress | RunPreview | RunPreviewFile | TextDelta | RunEnded


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file among a model's inputs: bytes in the media store, addressed by their SHA-256."""

    sha256: str
    mime: str
    size_bytes: int
    path: str = field(repr=False)
    width_pixels: int = 0
    """The size of a picture as sent to the model; 0 where unknown, as for the files of a stored job."""
    height_pixels: int = 0
    duration_seconds: float = 0
    """The length of a sound or video; 0 where unknown."""


InputValue: TypeAlias = JSON | InputFile | tuple[InputFile, ...]
"""A value of an input; a tuple for a field that takes a list of files."""

Inputs: TypeAlias = Mapping[str, InputValue]


def list_input_files(inputs: Inputs) -> list[InputFile]:
    """Return all files among inputs or options, in order."""
    files: list[InputFile] = []
    for value in inputs.values():
        if isinstance(value, InputFile):
            files.append(value)
        elif isinstance(value, tuple):
            files += value
    return files


@dataclass(frozen=True, slots=True)
class RunNotification:
    """A backend's webhook call about a run of this job. Repeated deliveries of one notification share `id`."""

    id: str
    job: str
    backend_id: str


RunNotificationHandler = Callable[[RunNotification], Awaitable[bool]]
"""Stores a notification and returns whether the notification was new."""


class Backend(Protocol):
    """Runs predictions. Every method raises a `BackendError` for a failure of the backend."""

    @property
    def name(self) -> str:
        """Return the name that the catalogue uses, such as `replicate`."""
        ...

    @property
    def config(self) -> BackendConfig:
        """Return the address of the server, and the owner's decisions about the server."""
        ...

    @property
    def finds_runs(self) -> bool:
        """Return whether `find` tells what became of an unclear create. If not, the create is never repeated."""
        ...

    @property
    def keeps_runs(self) -> bool:
        """Return whether the server keeps the words of ended runs until `forget` deletes the runs there."""
        ...

    def admit(self) -> None:
        """Raise `BackendDown` while the backend is unreachable: called for each request before money is held."""
        ...

    def check(self) -> None:
        """Raise `BackendDown` while the backend is unreachable, without side effects, for monitoring."""
        ...

    def slot_for_create(self, *, is_retry: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait in the queue of creates; submit once inside. Throttled creates go first (`is_retry`).

        A cancelled waiter leaves the queue and spends no slot. Raises `BackendDown` like `admit`.
        """
        ...

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Return the inputs with files replaced by data URLs or uploads, as the backend needs. Costs no money.

        The bot stores the result before `submit`: after a crash, the stored inputs identify the run at the backend.
        """
        ...

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Create a prediction and return its id, without waiting for the run.

        `run` is the bot's own id of this run, stored before the create; the same id comes back in `find` after a crash.
        The request is sent once. Raise `SubmitUnclear` if the broken request may have created a run, `BackendBusy` if
        the backend throttled the request and created no run.
        """
        ...

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Yield the events of a run, from the first word to one `RunEnded`. Repeatable, also after a restart."""
        ...

    async def cancel(self, backend_id: str) -> None:
        """Request the end of a run. Harmless for a run that has ended."""
        ...

    async def forget(self, backend_id: str) -> None:
        """Delete an ended run at a server that keeps runs. Harmless for an unknown run, and at any other server."""
        ...

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return the runs that an unclear create may have made, oldest first, to resolve `SubmitUnclear`.

        Where the server takes the bot's own id, the run of that id; else the runs of this model with equal inputs.
        """
        ...

    def explain(self, snapshot: RunSnapshot) -> BackendError:
        """Return the error of a run that ended without output: `ModelFailed` or `ModelFlagged`."""
        ...

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return whether a run failed for a temporary reason, so that a second run is worth its price."""
        ...

    async def probe(self) -> str:
        """Check token and connection; return one sentence for the owner."""
        ...

    def routes(self, take: RunNotificationHandler) -> "Sequence[RouteDef]":
        """Return the HTTP routes of the server's webhooks, none without webhooks. `take` stores each webhook once."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class ModelSource(Protocol):
    """A backend whose server lists models, for the owner's verbs `models add` and `models check`."""

    async def list_models(self) -> list[str]:
        """Return the server's names of models, as `ref` takes the names."""
        ...

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return inputs and output of a model. Raise `PredictionGone` for a model that the server does not have."""
        ...


@runtime_checkable
class ModelDirectory(Protocol):
    """Finds published models, and runs some by deployments. A backend with a public catalogue has these methods too.

    All raise a `BackendError`.
    """

    @property
    def deployments(self) -> "Deployments":
        """Return the deployments of the owner's account."""
        ...

    async def search_models(self, text: str, *, limit: int) -> Sequence[ModelListing]:
        """Return the models that match a text best."""
        ...

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return a version's schema with the published price; without a version, of the newest.

        Raise `PredictionGone` for a model or version that the backend does not show.
        """
        ...

    async def list_versions(self, ref: str, *, limit: int) -> Sequence[PublishedVersion]:
        """Return a model's versions, newest first."""
        ...


# Replicate's own bounds of instances (openapi.json, deployments.create).
MAX_MIN_INSTANCES = 5
MAX_INSTANCES = 20


_CARD_USD_PER_SECOND = {
    "gpu-t4": "0.000225",
    "gpu-a40-small": "0.000575",
    "gpu-a40-large": "0.000725",
    "gpu-l40s": "0.000975",
    "gpu-a100-large": "0.0014",
    "gpu-h100": "0.001525",
}
HARDWARE_USD_PER_SECOND: Mapping[str, Decimal] = {
    "cpu": Decimal("0.0001"),
    **{name: Decimal(usd) for name, usd in _CARD_USD_PER_SECOND.items()},
    **{f"{name}-{n}x": Decimal(usd) * n for name, usd in _CARD_USD_PER_SECOND.items() for n in (2, 4, 8)},
}
"""The price of a running instance (replicate.com/pricing, read on 2026-11-18): no API tells prices."""

HARDWARE_READ_ON = date(2026, 11, 18)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model's version on hardware of the owner's choice. `name` is `owner/name`; `min_instances` run all the time."""

    name: str
    model: str
    version: str
    hardware: str
    min_instances: int
    max_instances: int
    release: int


class Deployments(Protocol):
    """The deployments of the owner's account. All methods raise a `BackendError`."""

    def list(self) -> AsyncIterator[Deployment]:
        """Yield all deployments."""
        ...

    async def find(self, name: str) -> Deployment:
        """Return a deployment by `owner/name`, or by a name of the account. Raise `InputRefused` with the names."""
        ...

    async def create(
        self, name: str, *, model: str, version: str, hardware: str, min_instances: int = 0, max_instances: int = 1
    ) -> Deployment:
        """Create a deployment. Raise `SubmitUnclear` if a broken create may have arrived."""
        ...

    async def update(
        self,
        name: str,
        *,
        version: str | None = None,
        hardware: str | None = None,
        min_instances: int | None = None,
        max_instances: int | None = None,
    ) -> Deployment:
        """Change every argument that is not None."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a deployment that was not used for a quarter of an hour."""
        ...

    async def check_hardware(self, sku: str) -> None:
        """Raise `InputRefused` with the known hardware for any other."""
        ...
