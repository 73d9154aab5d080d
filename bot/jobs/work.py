"""A job in progress in this process, with the services of all stages and the learnt running times of models."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Unpack

from bot.catalogue.catalogue import Catalogue
from bot.core.backend import Backend
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import EaselError
from bot.core.jobs import Job, JobState, PostedMessage, PredictionRecord
from bot.core.models import Model, OutputKind, Task
from bot.core.platform import Destination, Platform, format_nonce
from bot.credits.credits import Credits
from bot.jobs.job_queues import JobQueues
from bot.jobs.presenting import Presenter, Result
from bot.jobs.webhooks import Webhooks
from bot.media.media import Media
from bot.moderation.moderation import WorkspaceSettings
from bot.storage.database import Database, Transaction
from bot.storage.job_rows import JobChanges
from bot.streaming.editor import MessageEditor, SilentEditor

CACHE_SECONDS = 60.0

# Under load each completed job would otherwise wait for the lock on the model's row.
LEARN_INTERVAL_SECONDS = 1.0


class JobLost(EaselError):
    """Another worker took over the job: this worker must not write about the job any more."""


class UsualTimes:
    """The learnt running times of models, cached: each placeholder and each price needs a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: TtlCache[str, float | None] = TtlCache(clock, CACHE_SECONDS)
        self._learnt: TtlCache[str, None] = TtlCache(clock, LEARN_INTERVAL_SECONDS)

    async def get_seconds(self, model: Model) -> float:
        """Return a model's learnt time in seconds, or the catalogue's time before the first run."""
        seconds = await self._known.get(model.key, lambda: self._read_seconds(model.key))
        return model.usual_seconds if seconds is None else seconds

    async def learn(self, tx: Transaction, model: str, seconds: float) -> None:
        """Move a model's learnt time towards the time of a new run, at most once per `LEARN_INTERVAL_SECONDS`."""
        await self._learnt.get(model, lambda: tx.predictions.update_usual_seconds(model, seconds))

    async def _read_seconds(self, key: str) -> float | None:
        async with self._database.read() as tx:
            return await tx.predictions.get_usual_seconds(key)


class FollowUps:
    """The requests that an ended job leads to, such as the picture that a chat model asks for."""

    def __init__(self) -> None:
        self._begin: list[Callable[[Job], Awaitable[bool]]] = []

    def add(self, begin: Callable[[Job], Awaitable[bool]]) -> None:
        """Call `begin` for each job whose result is shown; False leaves the job to the next process."""
        self._begin.append(begin)

    async def run(self, job: Job) -> bool:
        """Begin what follows on a job; return whether the job is done in this process."""
        return all([await begin(job) for begin in self._begin])


@dataclass(frozen=True, slots=True)
class JobServices:
    """The services of all stages."""

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
    get_settings: Callable[[str, str], Awaitable[WorkspaceSettings]]
    """`Moderation.get_settings`: the settings of a platform's workspace."""
    webhooks: Webhooks
    follow_ups: FollowUps = field(default_factory=FollowUps)


@dataclass(slots=True)
class Work:
    """A job in progress. `job` is always the row as last written by this process."""

    services: JobServices
    job: Job
    model: Model
    posted: list[PostedMessage] = field(default_factory=list)
    record: PredictionRecord | None = None
    """The prediction's row, after this process wrote or read the row."""
    result: Result | None = None
    """Set when this process completes the job."""
    text: str = ""
    """The model's text so far."""
    cancel_requested: asyncio.Event = field(default_factory=asyncio.Event)
    run_assigned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a webhook binds a run to the unanswered create."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the model begins to run: from then on the backend bills the time."""
    started_at: float | None = None
    """The time of `started` on the monotonic clock."""
    usual_seconds: float | None = None
    timeout_message: str = ""
    """The sentence for the user, set when the bot cancels the run at the time limit."""
    _editor: MessageEditor | None = None

    @property
    def backend(self) -> Backend:
        return self.services.backends[self.job.backend]

    @property
    def platform(self) -> Platform:
        return self.services.platforms[self.job.user.platform]

    @property
    def destination(self) -> Destination:
        """The destination of the first message part."""
        return Destination(
            user=self.job.user,
            channel=self.job.channel,
            request_key=self.job.request_key,
            # The same in each process and attempt: platforms drop a second post with an equal nonce.
            nonce=format_nonce(self.job.id, 0),
            is_private=self.job.is_private,
            is_streamed=self.model.output is OutputKind.TEXT_STREAM,
        )

    @property
    def editor(self) -> MessageEditor | SilentEditor:
        """The only writer of this job's message, created at the first use."""
        if self.job.batch_id:
            return SilentEditor()
        if self._editor is None:
            # Further parts of a batch are galleries, and of a speech its voice message: not more of one text.
            is_one_text = not self.job.batch_jobs and self.model.task is not Task.SPEAK
            parts = [message for message in self.posted if is_one_text or message.part == 0]
            self._editor = MessageEditor(
                self.platform, self.destination, parts, record=self.record_message, clock=self.services.clock
            )
        return self._editor

    def start_over(self) -> None:
        """Forget the first run of the job, before a second run starts."""
        self.text, self.started_at = "", None
        self.started.clear()
        self.run_assigned.clear()

    async def move(self, tx: Transaction, to: JobState, **changes: Unpack[JobChanges]) -> Job:
        """Move the row by compare-and-set and return the new row.

        Raise `JobLost`, which rolls back the transaction, if another worker has the job. The caller assigns the new row
        to `work.job` after the commit.
        """
        moved = await tx.jobs.move(self.job, to, self.services.clock.now(), **changes)
        if moved is None:
            raise JobLost(self.job.id)
        if moved.cancel_by:  # another process took the request, or this process did before the launch
            self.cancel_requested.set()
        return moved

    async def post_move(self, tx: Transaction, to: JobState, **changes: Unpack[JobChanges]) -> Callable[[], Job]:
        """Move the row as `move` does, with the commit; the caller gets the new row after the commit by a call.

        The commit raises `JobLost`. For the last statement of a transaction: on SQLite one wait less.
        """
        found: list[Job] = []

        def take(moved: Job | None) -> None:
            if moved is None:
                raise JobLost(self.job.id)
            found.append(moved)

        def get_moved() -> Job:
            (moved,) = found
            if moved.cancel_by:
                self.cancel_requested.set()
            return moved

        await tx.jobs.post_move(self.job, to, self.services.clock.now(), take, **changes)
        return get_moved

    async def close(self) -> None:
        """Stop editing, without a final message."""
        if self._editor is not None:
            await self._editor.aclose()

    async def record_message(self, message: PostedMessage) -> None:
        """Store a message of the job."""
        async with self.services.database.write(is_urgent=True) as tx:
            await tx.messages.put(message)
