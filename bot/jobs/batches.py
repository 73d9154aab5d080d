"""Batches: several requests under one message, asked, stopped and shown together.

The batch is a job without a run and without a price. Its requests are ordinary jobs, with holds of their own, without
messages. All are committed in one transaction; from then on each comes to its end like any other job, and the batch
waits for the ends in the rows. After a kill, whichever process has the batch goes on waiting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.core.backend import InputFile
from bot.core.errors import (
    AlreadyRunning,
    ConfirmationRequired,
    DuplicatePress,
    DuplicateRequest,
    LimitReached,
    RequestRefused,
    UserError,
)
from bot.core.ids import new_id
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState, Output, PostedMessage, PredictionRecord
from bot.core.json import JSON
from bot.core.limits import MAX_OPEN_JOBS_PER_USER
from bot.core.models import Model
from bot.core.money import Estimate
from bot.core.replies import Reply
from bot.jobs.acceptance import Acceptance, AcceptedJob, Options, collect_text, name_files
from bot.jobs.completion import cancel_unsubmitted, fail
from bot.jobs.messages import load_result, record_delivery, show_or_record_failure
from bot.jobs.presenting import BatchItem, split_galleries
from bot.jobs.work import JobServices, Work
from bot.streaming.editor import MessageEditor, counted

CHECK_SECONDS = 1.0
"""A batch looks for ended jobs this often: other processes may run some of them."""

_SHEET_STATE = "contact_sheet"
"""The state of the row that holds a contact sheet among the predictions: nothing ran."""

_MAX_LISTED_PROMPTS = 5


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch: the options for the model, and those for buttons and `/show`."""

    options: Options
    stored_options: Options

    @property
    def prompt(self) -> str:
        return str(self.stored_options.get("prompt") or "")


@dataclass(frozen=True, slots=True)
class BatchAcceptance:
    """Turns the requests of one invocation into committed jobs."""

    acceptance: Acceptance

    async def accept(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        alternative: tuple[str, Mapping[str, str | int | float | bool]] | None,
    ) -> AcceptedJob:
        """Return the jobs. Raise `ConfirmationRequired` first, with the `alternative` as a second button.

        Raise a `UserError` if not all of the requests are accepted: then nothing is stored or held.
        """
        acceptance = self.acceptance
        if (existing := await acceptance.check_backend(model, invocation.request_key)) is not None:
            return AcceptedJob(existing, is_new=False)
        prepared = [
            await acceptance.prepare(
                replace(invocation, request_key=f"{invocation.request_key}:{n}", press_key="", placeholder=None),
                model,
                request.options,
                request.stored_options,
            )
            for n, request in enumerate(requests, 1)
        ]
        total = Estimate(sum(job.estimate_micros for job, _ in prepared), sum(job.max_micros for job, _ in prepared))
        if not invocation.is_confirmed or total.max_micros > invocation.confirmed_micros:
            await self._check_means(invocation, prepared, requests)
            raise self._ask(invocation, model, requests, total, alternative)
        batch = self._build_batch(invocation, model, prepared, total)
        members = [(replace(job, options={**job.options, "batch_id": batch.id}), other) for job, other in prepared]
        messages = (PostedMessage(batch.id, 0, invocation.placeholder),) if invocation.placeholder else ()
        try:
            jobs = await self._commit(batch, model, members, messages, _collect_texts(requests))
        except DuplicateRequest:
            return AcceptedJob(await acceptance.get_existing_job(batch.request_key), is_new=False)
        except DuplicatePress as error:
            raise AlreadyRunning("I am on it: that button was pressed a moment ago.") from error
        return AcceptedJob(batch, messages, batch_jobs=jobs)

    def _build_batch(
        self, invocation: Invocation, model: Model, prepared: Sequence[tuple[Job, Model]], total: Estimate
    ) -> Job:
        options: dict[str, JSON] = {
            "prompt": str(invocation.options.get("prompt") or ""),
            "model": model.key,
            "batch_jobs": [job.id for job, _ in prepared],
            "batch_micros": total.max_micros,
        }
        return self.acceptance.build_job(invocation, model, options, {}, Estimate(0, 0))

    async def _check_means(
        self, invocation: Invocation, prepared: Sequence[tuple[Job, Model]], requests: Sequence[BatchRequest]
    ) -> None:
        """Raise the refusal that would meet the requests after the question: nobody confirms to be refused."""
        user, services = invocation.user, self.acceptance.services
        refused_word = await self.acceptance.moderation.find_refused_word(user, _collect_texts(requests))
        async with services.database.read() as tx:
            await self.acceptance.moderation.check_request(tx, user, invocation.channel, prepared[0][1], refused_word)
            for job, model in prepared:
                await services.credits.has_room(tx, job, model)
            open_counts = await tx.jobs.count_open_by_workspace(user.platform, user.id)
        limits = await services.credits.get_limits(user)
        # The batch itself is an open job too.
        room = MAX_OPEN_JOBS_PER_USER - sum(open_counts.values()) - 1
        if limits.jobs_at_once is not None:
            room = min(room, limits.jobs_at_once - open_counts.get(user.workspace, 0) - 1)
        room = room if limits.jobs_per_minute is None else min(room, limits.jobs_per_minute - 1)
        if room < len(prepared):
            raise LimitReached(
                f"These are {len(prepared)} requests, and you have room for {max(room, 0)} now. Ask for fewer, or wait."
            )
        available_micros = (await services.credits.get_statement(user)).max_job_micros
        lasting, cost_micros = 0, 0
        for job, _ in prepared:
            cost_micros += job.max_micros
            lasting += cost_micros <= available_micros
        if lasting < len(prepared):
            price = services.credits.formatter.format(cost_micros)
            raise RequestRefused(
                f"These {len(prepared)} requests cost {price} credits, and yours last for {lasting} of them. Ask for "
                "fewer, or for a cheaper model: /models shows the prices."
            )

    def _ask(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        total: Estimate,
        alternative: tuple[str, Mapping[str, str | int | float | bool]] | None,
    ) -> ConfirmationRequired:
        count = sum(_count_pictures(request) for request in requests)
        price = self.acceptance.services.credits.formatter.format_estimate(total)
        lines = [f"{n}. {request.prompt}" for n, request in enumerate(requests[:_MAX_LISTED_PROMPTS], 1)]
        if left_out := len(requests) - _MAX_LISTED_PROMPTS:
            lines += [f"… and {left_out} more"] if left_out > 0 else []
        rose = "The price rose since you were asked. " if invocation.is_confirmed else ""
        files = {
            name: value.sha256
            for name, value in name_files(requests[0].stored_options).items()
            if isinstance(value, InputFile)
        }
        return ConfirmationRequired(
            "\n".join([f"{rose}{count} pictures with {model.title} cost {price}. Go ahead?", *lines]),
            button_label=f"Draw {count}",
            price_micros=total.max_micros,
            files=files,
            is_answer_public=True,
            alternative=alternative,
        )

    async def _commit(
        self,
        batch: Job,
        model: Model,
        members: Sequence[tuple[Job, Model]],
        messages: tuple[PostedMessage, ...],
        text: str,
    ) -> list[Job]:
        """Store the batch and its jobs with their holds in one transaction: all are accepted, or none."""
        acceptance = self.acceptance
        settings = await acceptance.moderation.get_settings(batch.user.platform, batch.channel.workspace)
        refused_word = await acceptance.moderation.find_refused_word(batch.user, text)
        async with acceptance.services.database.accept() as tx:
            await acceptance.moderation.check_request(tx, batch.user, batch.channel, model, refused_word)
            await acceptance.store(tx, batch, model, may_reuse=False)
            for message in messages:
                await tx.messages.put(message)
            return [await acceptance.store(tx, job, other, may_reuse=settings.reuse) for job, other in members]


def _collect_texts(requests: Sequence[BatchRequest]) -> str:
    return "\n".join(collect_text(request.stored_options) for request in requests)


def _count_pictures(request: BatchRequest) -> int:
    count = request.options.get("count")
    return count if isinstance(count, int) else 1


async def list_jobs(services: JobServices, batch: Job) -> list[Job]:
    """Return the kept jobs of a batch, in order; none for another job."""
    if not batch.batch_jobs:
        return []
    async with services.database.read() as tx:
        jobs = [await tx.jobs.get(job_id) for job_id in batch.batch_jobs]
    return [job for job in jobs if job is not None]


async def watch(work: Work) -> None:
    """Wait until each job of a batch has ended, showing how many; then end the batch with its contact sheet."""
    shown_count = -1
    while True:
        jobs = await list_jobs(work.services, work.job)
        ended_count = sum(job.notified_at is not None for job in jobs)
        if ended_count == len(jobs):
            break
        if ended_count != shown_count:
            shown_count = ended_count
            work.editor.show(work.services.presenter.render_batch_progress(work.job, work.model, ended_count))
        await work.services.clock.sleep(CHECK_SECONDS)
    items = await _load_items(work.services, jobs)
    if any(item.result.pictures for item in items):
        await _finish(work, items)
    elif work.cancel_requested.is_set() or all(job.state is JobState.CANCELLED for job in jobs):
        await cancel_unsubmitted(work)
    else:
        await fail(work, UserError(next((job.error for job in jobs if job.error), "Nothing was drawn.")))


async def render_progress(work: Work) -> Reply:
    """Return the message of an open batch as of now."""
    jobs = await list_jobs(work.services, work.job)
    ended_count = sum(job.notified_at is not None for job in jobs)
    return work.services.presenter.render_batch_progress(work.job, work.model, ended_count)


async def _load_items(services: JobServices, jobs: Sequence[Job]) -> list[BatchItem]:
    works = [Work(services, job, services.catalogue.get(job.model)) for job in jobs]
    return [BatchItem(work.job, await load_result(work)) for work in works]


async def _finish(work: Work, items: Sequence[BatchItem]) -> None:
    """End a batch, queued → finished: the contact sheet is an output of its own."""
    pictures = [output for item in items for output in item.result.pictures]
    hashes = [output.sha256 for output in pictures]
    sheet = await work.services.media.keep_contact_sheet(hashes, is_output=True)
    now = work.services.clock.now()
    record = PredictionRecord(new_id(), work.job.backend, work.job.model, "", {}, now, state=_SHEET_STATE)
    output = Output(
        record.id,
        1,
        sheet.sha256,
        sheet.mime,
        sheet.size_bytes,
        sheet.width,
        sheet.height,
        alt=f"A contact sheet of {len(pictures)} pictures",
        is_flagged=any(picture.is_flagged for picture in pictures),
    )
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.add(record)
        await tx.outputs.add([output])
        paid = await work.services.credits.ledger.settle(tx, work.job.id, 0, now)
        moved = await work.move(tx, JobState.FINISHED, prediction=record.id, cost_micros=paid)
    work.job = moved


async def render(services: JobServices, batch: Job) -> list[Reply]:
    """Return the messages of an ended batch: the contact sheet with the first pictures, and the further pictures."""
    work = Work(services, batch, services.catalogue.get(batch.model))
    items = await _load_items(services, await list_jobs(services, batch))
    return split_galleries(services.presenter, batch, work.model, await load_result(work), items)


async def deliver(work: Work) -> None:
    """Show the result of a batch: its own message first, then a message for each further gallery."""
    shown = await show_or_record_failure(work, _show(work, await render(work.services, work.job)))
    if shown is not None:
        await record_delivery(work, shown, is_delivered=True)


async def _show(work: Work, replies: Sequence[Reply]) -> list[PostedMessage]:
    first, *galleries = replies
    shown = await work.editor.finish(first)
    for n, gallery in enumerate(galleries, 1):
        shown += await _show_gallery(work, shown[0], n, gallery)
    return shown


async def _show_gallery(work: Work, first: PostedMessage, n: int, reply: Reply) -> list[PostedMessage]:
    """Post and complete part `n` of a batch's message; a part that a dead process posted is completed alone."""
    # One nonce for each part in every process: a post repeated after a kill makes no second message.
    destination = replace(work.destination, nonce=f"{work.job.id}:{n}", placeholder=None, previous_part=first.ref)
    posted = next((message for message in work.posted if message.part == n), None)
    if posted is None:
        with counted(work.platform.name):
            ref = await work.platform.post(destination, reply)
        posted = PostedMessage(work.job.id, n, ref)
        await work.record_message(posted)
    # Some platforms attach files to posted messages only.
    editor = MessageEditor(work.platform, destination, [posted], record=work.record_message, clock=work.services.clock)
    return await editor.finish(reply)
