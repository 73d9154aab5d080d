"""What commands ask of jobs: start one, stop one, find one, show one again."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from bot.conversations.conversations import Question
from bot.core.backend import InputFile
from bot.core.errors import (
    AlreadyRunning,
    BackendDown,
    ConfirmationRequired,
    DuplicatePress,
    DuplicateRequest,
    InsufficientFunds,
    JobNotFound,
    RequestRefused,
    Unavailable,
)
from bot.core.ids import new_id
from bot.core.invocations import Invocation
from bot.core.jobs import OPEN_STATES, Job, JobState, Output, PostedMessage
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.money import Estimate
from bot.core.people import User
from bot.core.replies import MessageRef, Progress, Reply, Stage
from bot.core.ttl_cache import TtlCache
from bot.credits.pricing import estimate_cost
from bot.jobs.alternatives import suggest_cheaper_model
from bot.jobs.deletion import PersonalData, delete_job
from bot.jobs.delivery import load_result
from bot.jobs.history import JobHistory, load_job_history
from bot.jobs.reuse import apply_kept_result, reuse_key
from bot.jobs.runner import Runner
from bot.jobs.submitting import encode_inputs
from bot.jobs.work import JobServices, Work
from bot.moderation.moderation import Moderation
from bot.storage.database import Transaction

MAX_SEED = 2**31 - 1

USER_RECORD_INTERVAL_SECONDS = 600.0
"""How often somebody's name and last visit are written down."""

Options = Mapping[str, JSON | InputFile]


class Jobs:
    """The service. `worker` names this process in the rows it owns."""

    def __init__(self, services: JobServices, runner: Runner, moderation: Moderation, worker: str) -> None:
        self._services = services
        self._runner = runner
        self._moderation = moderation
        self._worker = worker
        self._recorded_users: TtlCache[User, None] = TtlCache(services.clock, USER_RECORD_INTERVAL_SECONDS)
        self.personal_data = PersonalData(services, self)
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
    ) -> Job:
        """Accept one ask: checked, priced, and committed with its money in one transaction. Its own message follows.

        `options` become the model's inputs; `remembered` is what its buttons and `/show` go by (default: the same).
        The same request key gives the same job. Raises a `UserError` and then nothing is owed.
        """
        if not self.is_accepting:
            raise Unavailable("I am restarting. Please ask again in a moment; nothing was charged.")
        self._accepting_count += 1
        try:
            return await self._start(invocation, model, options, stored_options, question)
        finally:
            self._accepting_count -= 1
            if not self._accepting_count:
                self._all_accepted.set()

    async def wait_until_accepted(self) -> None:
        """Wait for asks that came in before `is_accepting` was taken back: they are about to be jobs."""
        while self._accepting_count:
            self._all_accepted.clear()
            await self._all_accepted.wait()

    async def _start(
        self,
        invocation: Invocation,
        model: Model,
        options: Options,
        stored_options: Options | None,
        question: Question | None,
    ) -> Job:
        known = dict(options if stored_options is None else stored_options)
        inputs = self._services.catalogue.build_inputs(model, _add_seed(model, options))
        told = estimate_cost(model, inputs, await self._services.usual_times.get_seconds(model))
        if (first := await self._check_backend(model, invocation.request_key)) is not None:
            return first
        job = self._build_job(invocation, model, encode_inputs(known), encode_inputs(inputs), told)
        await self._require_confirmation(invocation, job, model, known)
        job = replace(job, reuse_key=reuse_key(job, model, options))
        waiting = [PostedMessage(job.id, 0, ref)] if (ref := invocation.placeholder) is not None else []
        try:
            return await self._accept(job, model, _collect_text(known), question, waiting)
        except InsufficientFunds as error:
            await suggest_cheaper_model(error, self._services, model, options, partial(self._may_run, job))
            raise

    async def get(self, job_id: str) -> Job | None:
        """A job by its id, or by the beginning of it where that is enough."""
        async with self._services.database.read() as tx:
            return await tx.jobs.get(job_id) or (await tx.jobs.find(job_id) if len(job_id) >= 6 else None)

    async def list_recent(self, user: User, limit: int = 10) -> list[Job]:
        """A person's latest jobs, newest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_recent(user, limit)

    async def list_open(self, user: User) -> list[Job]:
        """A person's jobs that are not over, newest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_open(user)

    async def list_open_in_workspace(self, user: User, limit: int) -> list[Job]:
        """What is not over in the workspace somebody is in, whoever asked, oldest first."""
        async with self._services.database.read() as tx:
            return await tx.jobs.list_open_in_workspace(user.platform, user.workspace, limit)

    def now(self) -> datetime:
        """The time, by the same clock as every job's."""
        return self._services.clock.now()

    async def list_outputs(self, job: Job) -> list[Output]:
        """What a job produced."""
        if not job.prediction:
            return []
        async with self._services.database.read() as tx:
            return await tx.outputs.list_outputs(job.prediction)

    async def cancel(self, job: Job, by: User) -> bool:
        """Stop a job, also at the backend. False when it is over already."""
        if job.state not in OPEN_STATES:
            return False
        async with self._services.database.write(is_urgent=True) as tx:
            asked = await tx.jobs.request_cancel(job.id, f"{by.platform}:{by.id}", self._services.clock.now())
            now = None if asked else await tx.jobs.get(job.id)
        self._runner.cancel(job.id)
        return asked or (now is not None and now.state in OPEN_STATES)

    async def delete(self, job: Job, by: User, shown_in: MessageRef) -> None:
        """Take a job's messages away, and another that shows it, with their files; one that still runs is stopped."""
        await self.cancel(job, by)
        await delete_job(self._services, job, shown_in)

    async def get_history(self, job: Job) -> JobHistory | None:
        """All that is known of a job; None when it is not kept any more."""
        return await load_job_history(self._services.database, job.id)

    async def render(self, job: Job) -> Reply:
        """A job's message as it is now, with living buttons."""
        work = Work(self._services, job, self._services.catalogue.get(job.model))
        if job.state in OPEN_STATES:
            stage = Stage.RUNNING if job.state is JobState.RUNNING else Stage.QUEUED
            return self._services.presenter.render_progress(job, work.model, Progress(stage))
        return self._services.presenter.render_result(job, work.model, await load_result(work))

    async def _require_confirmation(self, invocation: Invocation, job: Job, model: Model, known: Options) -> None:
        """Raises `NeedsConsent` for what may cost more than the workspace lets pass unasked, unless that was agreed to.

        What would be refused anyhow is refused first: nobody agrees to a price for nothing.
        """
        user, credits_ = invocation.user, self._services.credits
        settings = await self._moderation.get_settings(user.platform, user.workspace)
        asks_above = credits_.formatter.to_micros(settings.confirm_above_credits)
        if not asks_above or job.max_micros <= max(asks_above, invocation.confirmed_micros):
            return
        async with self._services.database.read() as tx:
            await self._moderation.check_request(tx, user, invocation.channel, model, _collect_text(known))
            if not await credits_.has_room(tx, job, model):
                return  # the hold says what is short, and what would do
        price = credits_.formatter.format_estimate(Estimate(job.estimate_micros, job.max_micros))
        files = {name: value.sha256 for name, value in known.items() if isinstance(value, InputFile)}
        raise ConfirmationRequired(
            f"This costs {price} with {model.title}. Go ahead?", price_micros=job.max_micros, files=files
        )

    async def _check_backend(self, model: Model, request_key: str) -> Job | None:
        """Raises `BackendDown` while the model's backend is away; an ask that was accepted before has its job."""
        try:
            self._services.backends[model.backend].admit()
        except BackendDown:
            async with self._services.database.read() as tx:
                if (first := await tx.jobs.get_by_request_key(request_key)) is None:
                    raise
            return first
        return None

    def _build_job(
        self,
        invocation: Invocation,
        model: Model,
        options: dict[str, JSON],
        inputs: dict[str, JSON],
        told: Estimate,
    ) -> Job:
        now = self._services.clock.now()
        return Job(
            id=new_id(),
            request_key=invocation.request_key,
            user=invocation.user,
            channel=invocation.channel,
            command=invocation.command,
            model=model.key,
            backend=model.backend,
            options=options,
            inputs=inputs,
            state=JobState.ACCEPTED,
            owner=self._worker,
            epoch=0,
            created_at=now,
            updated_at=now,
            press_key=invocation.press_key,
            parent_job=invocation.parent_job,
            is_private=invocation.is_private,
            estimate_micros=told.expected_micros,
            max_micros=told.max_micros,
        )

    async def _accept(
        self, job: Job, model: Model, words: str, question: Question | None, waiting: list[PostedMessage]
    ) -> Job:
        """`waiting` are messages that are there already and wait for this job's answer."""
        await self.record_user(job.user)
        try:
            job = await self._commit(job, model, words, question, waiting)
        except DuplicateRequest:
            return await self._get_existing_job(job.request_key)
        except DuplicatePress as error:
            raise AlreadyRunning("I am on it: that button was pressed a moment ago.") from error
        self._runner.launch(job, waiting)
        return job

    async def _commit(
        self, job: Job, model: Model, words: str, question: Question | None, waiting: list[PostedMessage]
    ) -> Job:
        """The one transaction that makes an ask owed."""
        settings = await self._moderation.get_settings(job.user.platform, job.channel.workspace)
        async with self._services.database.write() as tx:
            await self._moderation.check_request(tx, job.user, job.channel, model, words)
            limits = await self._services.credits.policies.get_limits(tx, job.user)
            job = await self._insert(tx, replace(job, weight=limits.weight), question, settings.reuse)
            for message in waiting:
                await tx.messages.put(message)
            await self._services.credits.hold(tx, job, model)
        return job

    async def _may_run(self, job: Job, model: Model) -> bool:
        """Whether a model might be asked instead, by whom and where this was."""
        try:
            async with self._services.database.read() as tx:
                await self._moderation.check_request(tx, job.user, job.channel, model, "")
        except RequestRefused:
            return False
        return await self._services.credits.is_model_allowed(job.user, job.channel, model.key)

    async def record_user(self, user: User) -> None:
        """Somebody is here: remember what they are called, once in a while."""
        await self._recorded_users.get(user, lambda: self._upsert_user(user))

    async def _upsert_user(self, user: User) -> None:
        """Write down who asks, apart from what they ask: who is refused for want of credits can be granted some."""
        async with self._services.database.write() as tx:
            await tx.people.upsert_user(user, self._services.clock.now())

    def _is_kept(self, sha256: str) -> bool:
        return self._services.media.find_path(sha256) is not None

    async def _insert(self, tx: Transaction, job: Job, question: Question | None, may_reuse: bool) -> Job:
        if question is None:
            job = await apply_kept_result(tx, job, self._is_kept) if may_reuse else job
            await tx.jobs.add(job)
            return job
        # Of two who begin a conversation at once, one opened it: the other's question joins it.
        conversation = await tx.conversations.get_or_create(question.conversation)
        job = replace(job, conversation=conversation.id, options={**job.options, "answers": question.parent_turn})
        await tx.jobs.add(job)
        for turn in question.earlier_turns if conversation.id == question.conversation.id else ():
            await tx.conversations.add_turn(turn)
        if question.turn is not None:
            await tx.conversations.add_turn(replace(question.turn, conversation=conversation.id, job=job.id))
        return job

    async def _get_existing_job(self, request_key: str) -> Job:
        """The job that this ask already has."""
        async with self._services.database.read() as tx:
            job = await tx.jobs.get_by_request_key(request_key)
        if job is None:
            raise JobNotFound("That was asked before, and is not kept any more. Please ask again.")
        return job


def _collect_text(options: Options) -> str:
    """Everything a person wrote, for the check of words: also what they told a model to be, or not to show.

    The model's own name is nothing they wrote: it is among the options where nobody named one.
    """
    return "\n".join(value for name, value in options.items() if isinstance(value, str) and name != "model")


def _add_seed(model: Model, options: Options) -> Options:
    """A seed of our own where the model takes one and nobody chose: so that a picture can always be made again."""
    if "seed" not in model.inputs or options.get("seed") is not None:
        return options
    return {**options, "seed": secrets.randbelow(MAX_SEED)}
