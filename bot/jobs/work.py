"""How long models usually take, as learnt; from memory, since every placeholder and every price asks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Unpack

from bot.catalogue.catalogue import Catalogue
from bot.core.backend import Backend
from bot.core.clock import Clock
from bot.core.errors import EaselError
from bot.core.jobs import Job, JobState, PostedMessage, PredictionRecord
from bot.core.models import Model, OutputKind
from bot.core.platform import Destination, Platform
from bot.core.ttl_cache import TtlCache
from bot.credits.credits import Credits
from bot.jobs.job_queues import JobQueues
from bot.jobs.presenting import Presenter, Result
from bot.media.media import Media
from bot.storage.database import Database, Transaction
from bot.storage.job_rows import JobChanges
from bot.streaming.editor import MessageEditor

CACHE_SECONDS = 60.0
"""Learnt times move slowly."""

LEARN_INTERVAL_SECONDS = 1.0
"""A model is learnt from once a second at most: under load its row would be what every job waits for."""


class UsualTimes:
    """Seconds by model."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: TtlCache[str, float | None] = TtlCache(clock, CACHE_SECONDS)
        self._learnt: TtlCache[str, None] = TtlCache(clock, LEARN_INTERVAL_SECONDS)

    async def get_seconds(self, model: Model) -> float:
        """The learnt time of a model in seconds, or the catalogue's until there is one."""
        seconds = await self._known.get(model.key, lambda: self._read(model.key))
        return model.usual_seconds if seconds is None else seconds

    async def learn(self, tx: Transaction, model: str, seconds: float) -> None:
        """Move a model's learnt time towards what was just seen."""
        await self._learnt.get(model, lambda: tx.predictions.update_usual_seconds(model, seconds))

    async def _read(self, key: str) -> float | None:
        async with self._database.read() as tx:
            return await tx.predictions.get_usual_seconds(key)


# MERGED One job while this process works on it, and the parts of the bot that working takes.


class JobLost(EaselError):
    """Another worker has this job now: whatever was about to be written must not be."""


@dataclass(frozen=True, slots=True)
class JobServices:
    """What every stage of a job may use."""

    database: Database
    catalogue: Catalogue
    credits: Credits
    media: Media
    backends: Mapping[str, Backend]
    platforms: Mapping[str, Platform]
    presenter: Presenter
    usual_times: UsualTimes
    clock: Clock
    queues: JobQueues


@dataclass(slots=True)
class Work:
    """A job on its way. `job` is always the row as this process last wrote it."""

    services: JobServices
    job: Job
    model: Model
    posted: list[PostedMessage] = field(default_factory=list)
    record: PredictionRecord | None = None
    """The prediction's row, once this process wrote or read it."""
    result: Result | None = None
    """What it came to, once this process closed it."""
    text: str = ""
    """What the model has written so far."""
    cancel_requested: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody wants it stopped."""
    run_assigned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a notice gave its run to a create that was not answered."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the model begins to run: from then on its time is paid for."""
    started_at: float | None = None
    """When that was, on the monotonic clock."""
    usual_seconds: float | None = None
    timeout_message: str = ""
    """Why we stopped it ourselves, in a sentence."""
    _editor: MessageEditor | None = None

    @property
    def backend(self) -> Backend:
        return self.services.backends[self.job.backend]

    @property
    def platform(self) -> Platform:
        return self.services.platforms[self.job.user.platform]

    @property
    def destination(self) -> Destination:
        """Where the first part of the message goes; the same for every process that tries."""
        return Destination(
            user=self.job.user,
            channel=self.job.channel,
            request_key=self.job.request_key,
            nonce=f"{self.job.id}:0",
            is_private=self.job.is_private,
            is_streamed=self.model.output is OutputKind.TEXT_STREAM,
        )

    @property
    def editor(self) -> MessageEditor:
        """The one writer of this job's message, made when the first thing is to be shown."""
        if self._editor is None:
            self._editor = MessageEditor(
                self.platform, self.destination, self.posted, record=self._record, clock=self.services.clock
            )
        return self._editor

    def start_over(self) -> None:
        """Another run of the same job begins: nothing of the last one is left."""
        self.text, self.started_at = "", None
        self.started.clear()
        self.run_assigned.clear()

    async def move(self, tx: Transaction, to: JobState, **changes: Unpack[JobChanges]) -> Job:
        """The next arrow, as a compare-and-set. Raises `JobLost`, and so rolls back, when another worker has the job.

        The caller takes the result as `work.job` once the transaction is committed.
        """
        moved = await tx.jobs.move(self.job, to, self.services.clock.now(), **changes)
        if moved is None:
            raise JobLost(self.job.id)
        if moved.cancel_by:  # asked of another process, or before this one knew the job
            self.cancel_requested.set()
        return moved

    async def close(self) -> None:
        """Stop writing, without a last word."""
        if self._editor is not None:
            await self._editor.aclose()

    async def _record(self, message: PostedMessage) -> None:
        async with self.services.database.write(is_urgent=True) as tx:
            await tx.messages.put(message)
