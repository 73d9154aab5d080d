"""Who runs predictions: the one small protocol that every backend implements."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.core.errors import BackendError
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.predictions import Inputs, RunEvent, RunSnapshot


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
