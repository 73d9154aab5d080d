"""The jobs service for commands and buttons: start, cancel, delete, find and render jobs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.conversations.conversations import Question
from bot.core.backend import InputFile, list_input_files
from bot.core.caches import TtlCache
from bot.core.errors import Alternative, BackendDown, ConfirmationRequired, JobNotFound, Unavailable, UserError
from bot.core.file_types import PICTURES, MediaKind
from bot.core.invocations import Attachment, Invocation
from bot.core.jobs import OPEN_STATES, Job, JobState, Output, PredictionRecord
from bot.core.limits import MAX_ANCESTORS
from bot.core.models import Model, Task
from bot.core.money import Account, Entry
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Progress, Reply, Stage
from bot.jobs import batches
from bot.jobs.acceptance import Acceptance, AcceptedJob, Options
from bot.jobs.batches import BatchAcceptance, BatchRequest
from bot.jobs.deletion import PersonalData, delete_job, forget_jobs
from bot.jobs.messages import load_result
from bot.jobs.routing import estimate_wait_seconds
from bot.jobs.runner import Runner
from bot.jobs.work import JobServices, Work
from bot.moderation.moderation import Moderation

USER_RECORD_INTERVAL_SECONDS = 600.0
"""A user's name and last visit are stored at most this often: a write for each request would slow all others down."""

_MAX_SEARCHED_JOBS = 30
_MAX_SOURCES = 20

MIN_ID_PREFIX = 6
"""Users may shorten the id of an own job to this many characters."""


@dataclass(frozen=True, slots=True)
class JobHistory:
    """All rows about a job, read at one moment: steps with times, run, outputs and ledger entries."""

    job: Job
    steps: Sequence[tuple[JobState, datetime]]
    prediction: PredictionRecord | None
    outputs: Sequence[Output]
    entries: Sequence[Entry]
    """Oldest first."""
    accounts: Mapping[str, Account]
    """The accounts of `entries`, by id."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A picture, and the job that made the picture."""

    job: Job
    output: Output


class Jobs:
    """The service. `worker` names this process in the rows of its jobs."""

    def __init__(self, services: JobServices, runner: Runner, moderation: Moderation, worker: str) -> None:
        self._services = services
        self._runner = runner
        self._acceptance = Acceptance(services, moderation, worker)
        self._recorded_users: TtlCache[User, None] = TtlCache(services.clock, USER_RECORD_INTERVAL_SECONDS)
        self.personal_data = PersonalData(services, self.cancel)
        self.is_accepting = True
        self._accepting_count = 0
        self._all_accepted = asyncio.Event()

    async def start(
        self,
        invocation: Invocation,
        model: Model,
        options: Options,
        *,
        stored_options: Options | None = None,
        question: Question | None = None,
        further_micros: int = 0,
    ) -> Job:
        """Accept a request and launch the job, which replies in a separate message; return the job.

        `options` become the model's inputs; buttons and `/show` use `stored_options` (default: `options`). A repeated
        request key returns the first job. `further_micros` are held too, for the jobs that this job leads to. Raise a
        `UserError` if the request is rejected; then nothing is held.
        """
        stored = options if stored_options is None else stored_options
        accept = partial(self._acceptance.accept, invocation, model, options, stored, question, further_micros)
        return await self._start(invocation, _list_files(options, stored), accept)

    async def start_batch(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        *,
        stored_options: Options | None = None,
        alternative: Alternative | None = None,
    ) -> Job:
        """Accept several requests together and launch their jobs.

        Before pictures comes a question with count and price, before speech if the sum exceeds the workspace's
        threshold. `stored_options` are those of the whole, for buttons; `alternative` is the label and the changed
        options of another button of the question. Raise as `start` does.
        """
        accept = partial(
            BatchAcceptance(self._acceptance).accept, invocation, model, requests, stored_options or {}, alternative
        )
        return await self._start(invocation, _list_files(requests[0].options, requests[0].stored_options), accept)

    async def _start(
        self, invocation: Invocation, files: Sequence[InputFile], accept: Callable[[], Awaitable[AcceptedJob]]
    ) -> Job:
        if not self.is_accepting:
            self._services.media.release(files)
        return await self._launch(lambda: self._accept(invocation, files, accept))

    async def undo(self, invocation: Invocation, job: Job) -> Job:
        """Show the picture from which a job's picture came as the newest result, free of charge; return the new job.

        Raise `JobNotFound` if the user may see no such picture, and as `start` does.
        """
        parents = [
            parent
            for parent in await self._find_parents(job)
            if await self.is_visible(parent.job, invocation.user, invocation.channel)
        ]
        if not parents:
            raise JobNotFound("Nothing was before that picture: it is the first of its line. Again draws another.")
        before = parents[0]
        if self._services.media.find_path(before.output.sha256) is None:
            raise JobNotFound("The picture before is not kept any more. Draw it again to go on from there.")
        return await self._launch(lambda: self._acceptance.accept_again(invocation, before.job, before.output.n))

    async def _launch(self, accept: Callable[[], Awaitable[AcceptedJob]]) -> Job:
        """Accept a job and launch the job, if new. Raise `Unavailable` during a restart."""
        if not self.is_accepting:
            raise Unavailable("I am restarting. Please ask again in a moment; nothing was charged.")
        self._accepting_count += 1
        try:
            accepted = await accept()
            if accepted.is_new:
                self._runner.launch(accepted.job, accepted.messages)
            for job in accepted.batch_jobs:
                self._runner.launch(job)
            return accepted.job
        finally:
            self._accepting_count -= 1
            if not self._accepting_count:
                self._all_accepted.set()

    async def _accept(
        self, invocation: Invocation, files: Sequence[InputFile], accept: Callable[[], Awaitable[AcceptedJob]]
    ) -> AcceptedJob:
        """Accept a request and keep the files given with the request; delete new files if the request is refused."""
        media = self._services.media
        try:
            # In a separate transaction: a user refused for want of credits is recorded too, and can be granted some.
            await self.record_user(invocation.user)
            accepted = await accept()
        except ConfirmationRequired:
            media.claim(files)  # for the answer
            raise
        except UserError:  # of other errors and a cancellation the job may be committed already
            media.release(files)
            raise
        if accepted.is_new:
            media.claim(files)
        else:
            media.release(files)
        return accepted

    async def wait_until_accepted(self) -> None:
        """Wait for requests from before `is_accepting` became false: each may become a job to drain."""
        while self._accepting_count:
            self._all_accepted.clear()
            await self._all_accepted.wait()

    async def record_user(self, user: User) -> None:
        """Store a user's name and visit, at most once per `USER_RECORD_INTERVAL_SECONDS`."""
        await self._recorded_users.get(user, lambda: self._upsert_user(user))

    async def get(self, job_id: str) -> Job | None:
        """Return the job with an id."""
        async with self._services.database.read() as tx:
            return await tx.jobs.get(job_id)

    async def find(self, user: User, name: str) -> Job | None:
        """Return a job by id, or a job of the user by an unambiguous beginning of the id.

        Other people's jobs have no short names: a few letters are soon guessed.
        """
        async with self._services.database.read() as tx:
            job = await tx.jobs.get(name)
            return job or (await tx.jobs.find_own(user, name) if len(name) >= MIN_ID_PREFIX else None)

    async def is_visible(self, job: Job, user: User, channel: Channel) -> bool:
        """Return whether a job may be shown to a user in a channel.

        A user sees own jobs everywhere. Other people see a public job in the channel of the job; a job of a private
        thread in the same thread alone.
        """
        if (job.user.platform, job.user.workspace) != (user.platform, user.workspace):
            return False
        if job.user.id == user.id:
            return True
        if job.is_private or job.channel.id != channel.id:
            return False
        return job.channel.thread == channel.thread or not await self.is_in_private_thread(job)

    async def is_secret(self, job: Job) -> bool:
        """Return whether the job's user alone, or the members of a private thread, read the answer.

        A platform that does not tell the channel of direct messages counts as one where all read.
        """
        if job.is_private or await self.is_in_private_thread(job):
            return True
        direct = await self._services.platforms[job.channel.platform].find_direct_channel(
            job.channel.workspace, job.user.id
        )
        return direct is not None and direct.id == job.channel.id

    async def is_in_private_thread(self, job: Job) -> bool:
        """Return whether a job was asked in a thread that only the thread's members read."""
        return bool(job.channel.thread) and await self._services.platforms[job.channel.platform].is_private_thread(
            job.channel
        )

    async def list_recent(self, user: User, limit: int = 10) -> list[Job]:
        """Return a user's latest jobs, newest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_recent(user, limit)

    async def list_open(self, user: User) -> list[Job]:
        """Return a user's open jobs, newest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_open(user)

    async def list_open_in_workspace(self, user: User, limit: int) -> list[Job]:
        """Return the open jobs of all users in the workspace of `user`, oldest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_open_in_workspace(user.platform, user.workspace, limit)

    def estimate_wait_seconds(self, model: Model) -> float:
        """Return about how long a new job of a model waits in line; 0 where there is room."""
        return estimate_wait_seconds(self._services, model)

    def is_away(self, model: Model) -> bool:
        """Return whether the server of a model counts as away."""
        try:
            self._services.backends[model.backend].check()
        except (BackendDown, KeyError):
            return True
        return False

    def now(self) -> datetime:
        """Return the time by the clock of all jobs."""
        return self._services.clock.now()

    async def list_outputs(self, job: Job) -> list[Output]:
        """Return the kept outputs of a job."""
        if not job.prediction:
            return []
        async with self._services.database.read() as tx:
            return job.select_outputs(await tx.outputs.list_outputs(job.prediction))

    async def list_ancestors(self, job: Job, user: User, channel: Channel) -> list[Ancestor]:
        """Return at most `MAX_ANCESTORS` pictures from which a job's picture came, the first of the line first.

        The line ends at jobs that the user may not see in the channel.
        """
        found: dict[tuple[str, int], Ancestor] = {}
        waiting = [job]
        while waiting and len(found) < MAX_ANCESTORS:
            for parent in await self._find_parents(waiting.pop(0)):
                key = parent.output.prediction, parent.output.n
                if key not in found and await self.is_visible(parent.job, user, channel):
                    found[key] = parent
                    waiting.append(parent.job)
        newest_first = sorted(found.values(), key=_get_time, reverse=True)
        return newest_first[:MAX_ANCESTORS][::-1]

    async def _find_parents(self, job: Job) -> list[Ancestor]:
        """Return the pictures of other jobs that a job was given, in the order of the job's options."""
        if not job.given_files:
            return []
        # A given file is known by its SHA-256: kept pictures hold no words, so a picture that comes back is the same.
        async with self._services.database.read() as tx:
            sources = await tx.jobs.find_sources(job, _MAX_SOURCES)
            return [
                Ancestor(source, output)
                for source, n in (sources[sha256] for sha256 in job.given_files if sha256 in sources)
                for output in await tx.outputs.list_outputs(source.prediction)
                if output.n == n
            ]

    async def find_by_message(self, channel: Channel, message_id: str) -> Job | None:
        """Return the job behind a message of the bot in a channel or thread."""
        async with self._services.database.read() as tx:
            job_id = await tx.messages.find_job(channel.platform, channel.thread or channel.id, message_id)
            return await tx.jobs.get(job_id) if job_id else None

    async def find_last_picture(self, user: User, channel: Channel) -> Job | None:
        """Return the last job that made a picture in a channel or thread."""
        async for job in self._iterate_recent(user, channel):
            if any(output.kind is MediaKind.PICTURE for output in await self.list_outputs(job)):
                return job
        return None

    async def _iterate_recent(self, user: User, channel: Channel) -> AsyncGenerator[Job]:
        """Yield the last jobs of a channel or thread that a user may see, newest first."""
        async with self._services.database.read() as tx:
            place = (channel.platform, channel.workspace, channel.id)
            jobs = await tx.jobs.list_recent_in_channel(*place, _MAX_SEARCHED_JOBS)
        for job in jobs:
            # A chain of replies stands in the channel.
            threads = ["" if place.is_reply_chain else place.thread for place in (job.channel, channel)]
            if threads[0] == threads[1] and await self.is_visible(job, user, channel):
                yield job

    async def find_last_file(
        self, user: User, channel: Channel, kinds: Sequence[MediaKind] = PICTURES
    ) -> Attachment | None:
        """Return the last file of some kinds that a job made in a channel or thread, or that a person gave there."""
        async for job in self._iterate_recent(user, channel):
            for sha256 in (*await self._list_made_files(job), *job.given_files):
                file = self._services.media.load_attachment(sha256)
                if file is not None and file.kind in kinds:
                    return file
        return None

    async def list_files(self, channel: Channel, since: datetime) -> list[tuple[Job, str]]:
        """Return the files that jobs made in a channel or thread since a time, or that people gave there, oldest first.

        Each SHA-256 comes with its job. Files of private jobs are left out.
        """
        found: list[tuple[Job, str]] = []
        async with self._services.database.read() as tx:
            recent = await tx.jobs.list_recent_in_thread(channel, since, _MAX_SEARCHED_JOBS)
            jobs = [job for job in reversed(recent) if not job.is_private]
            # Answers of a conversation are words.
            outputs = await tx.outputs.list_by_prediction(
                [job.prediction for job in jobs if job.prediction and not job.conversation]
            )
            for job in jobs:
                made = job.select_outputs(outputs.get(job.prediction, ()))
                found += [(job, sha256) for sha256 in (*job.given_files, *_list_unflagged(made))]
        return found

    async def list_pictures_by_maker(self, user: User, channel: Channel) -> dict[User, list[str]]:
        """Return the SHA-256s of the pictures that jobs made in a channel or thread, by maker, newest first.

        Only pictures that a user may see count.
        """
        found: dict[User, list[str]] = {}
        makers: dict[str, User] = {}
        async for job in self._iterate_recent(user, channel):
            pictures = [
                output.sha256
                for output in await self.list_outputs(job)
                if output.kind is MediaKind.PICTURE and output.sha256 and not output.is_flagged
            ]
            if pictures:
                # The name of the newest job: people rename themselves.
                found.setdefault(makers.setdefault(job.user.id, job.user), []).extend(pictures)
        return found

    async def _list_made_files(self, job: Job) -> list[str]:
        """Return the SHA-256s of the files that a job made, without flagged ones.

        A part of a long text counts as no file: the whole is the file of its batch.
        """
        if job.batch_id and job.command == Task.SPEAK:
            return []
        return _list_unflagged(await self.list_outputs(job))

    async def cancel(self, job: Job, by: User) -> bool:
        """Stop a job, also at the backend, or all jobs of a batch; return false if the job is over already."""
        if job.state not in OPEN_STATES:
            return False
        # The jobs first: a batch whose own row says stopped has no running job.
        for member in await batches.list_jobs(self._services, job):
            await self.cancel(member, by)
        async with self._services.database.write(is_urgent=True) as tx:
            is_first = await tx.jobs.request_cancel(job.id, by.author, self._services.clock.now())
            latest = None if is_first else await tx.jobs.get(job.id)
        self._runner.cancel(job.id)
        # A second cancel changes no row, but the answer is yes as long as the job is still being stopped.
        return is_first or (latest is not None and latest.state in OPEN_STATES)

    async def delete(self, job: Job, by: User, shown_in: MessageRef) -> None:
        """Cancel a job if needed, and delete the job's messages and files, and the copy of a message `shown_in`.

        A job of a batch goes with the whole batch, whose message shows the result.
        """
        batch = await self.get(job.batch_id) if job.batch_id else job
        await self.cancel(batch or job, by)
        await delete_job(self._services, batch or job, shown_in)
        members = await batches.list_jobs(self._services, batch or job)
        await forget_jobs(self._services, [member for member in members if member.notified_at is not None])

    async def get_history(self, job: Job) -> JobHistory | None:
        """Return all rows about a job; None if the job is deleted."""
        async with self._services.database.read() as tx:
            latest = await tx.jobs.get(job.id)
            if latest is None:
                return None
            entries = await tx.ledger.list_job_entries(latest.id)
            return JobHistory(
                job=latest,
                steps=await tx.jobs.list_steps(latest.id),
                prediction=await tx.predictions.get(latest.prediction) if latest.prediction else None,
                outputs=await tx.outputs.list_outputs(latest.prediction) if latest.prediction else (),
                entries=entries,
                accounts=await tx.ledger.get_accounts({entry.account for entry in entries}),
            )

    async def render(self, job: Job) -> Reply:
        """Return a job's message as of now, with working buttons."""
        work = Work(self._services, job, self._services.catalogue.get(job.model))
        if job.state in OPEN_STATES:
            if job.batch_jobs:
                return await batches.render_progress(work)
            stage = Stage.RUNNING if job.state is JobState.RUNNING else Stage.QUEUED
            return self._services.presenter.render_progress(job, work.model, Progress(stage))
        if job.batch_jobs:
            return (await batches.render(self._services, job))[0]
        return self._services.presenter.render_result(job, work.model, await load_result(work))

    async def _upsert_user(self, user: User) -> None:
        async with self._services.database.accept() as tx:
            await tx.people.upsert_user(user, self._services.clock.now())


def _list_files(options: Options, stored: Options) -> list[InputFile]:
    """Return the files of a request: those for the model, and those that a button gives again in another form."""
    files = list_input_files(options)
    known = {file.sha256 for file in files}
    return [*files, *(file for file in list_input_files(stored) if file.sha256 not in known)]


def _list_unflagged(outputs: Sequence[Output]) -> list[str]:
    return [output.sha256 for output in outputs if output.sha256 and not output.is_flagged]


def _get_time(ancestor: Ancestor) -> tuple[object, ...]:
    return ancestor.job.created_at, ancestor.job.id, ancestor.output.n
