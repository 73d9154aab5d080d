"""Batches: several requests under one message, asked, stopped and shown together.

A batch of pictures ends with a contact sheet, a batch of speech with one sound: the parts of a long text, joined.

The batch is a job without a run and without a price. Its requests are ordinary jobs, with holds of their own, without
messages. All are committed in one transaction; from then on each comes to its end like any other job, and the batch
waits for the ends in the rows. After a kill, whichever process has the batch goes on waiting.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.backend import InputFile
from bot.core.errors import (
    AlreadyRunning,
    Alternative,
    BadFile,
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
from bot.core.models import Model, Task
from bot.core.money import Estimate
from bot.core.platform import format_nonce
from bot.core.replies import Reply
from bot.jobs.acceptance import Acceptance, AcceptedJob, Options, collect_text, name_files
from bot.jobs.completion import cancel_unsubmitted, fail
from bot.jobs.messages import load_result, record_delivery, show_or_record_failure, show_reply
from bot.jobs.presenting import BatchItem, Result, format_alt_text, split_files, split_galleries
from bot.jobs.submitting import encode_inputs
from bot.jobs.work import JobServices, Work
from bot.streaming.editor import MessageEditor, counted

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""A batch looks for ended jobs this often: other processes may run some of them."""

_MAX_LISTED_PROMPTS = 5


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch: the options for the model, and those for buttons and `/show`."""

    options: Options
    stored_options: Options

    @property
    def prompt(self) -> str:
        return str(self.stored_options.get("prompt") or "")

    @property
    def text(self) -> str:
        return collect_text(self.stored_options)


# The two kinds.


class BatchKind(ABC):
    """The differences between batches of pictures and of speech."""

    @abstractmethod
    async def must_ask(self, services: JobServices, invocation: Invocation, total: Estimate) -> bool:
        """Return whether a question comes before the jobs."""

    @abstractmethod
    def build_question(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        price: tuple[int, str],
        alternative: Alternative | None,
    ) -> ConfirmationRequired:
        """Return the question before the jobs. `price` is the maximum in micros, and the words for people."""

    @abstractmethod
    def build_inputs(self, count: int) -> dict[str, JSON]:
        """Return the inputs of the batch. Buttons that ask again do nothing for a job without inputs."""

    @abstractmethod
    def refuse_count(self, count: int, room: int) -> LimitReached:
        """Return the refusal of more requests than the person may have open."""

    @abstractmethod
    def refuse_price(self, count: int, price: str, lasting: int) -> RequestRefused:
        """Return the refusal of requests of which the person can pay `lasting`."""

    @abstractmethod
    def has_output(self, items: Sequence[BatchItem]) -> bool:
        """Return whether any job of a batch made something to show."""

    @abstractmethod
    async def finish(self, work: Work, items: Sequence[BatchItem]) -> None:
        """End a batch with output, queued → finished, with an output of its own."""

    @abstractmethod
    def render(self, work: Work, result: Result, items: Sequence[BatchItem]) -> list[Reply]:
        """Return the messages of an ended batch."""


class PictureBatch(BatchKind):
    """Several prompts: always asked for, and shown as a contact sheet and galleries."""

    async def must_ask(self, services: JobServices, invocation: Invocation, total: Estimate) -> bool:
        return not invocation.is_confirmed or total.max_micros > invocation.confirmed_micros

    def build_question(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        price: tuple[int, str],
        alternative: Alternative | None,
    ) -> ConfirmationRequired:
        count = sum(_count_pictures(request) for request in requests)
        lines = [f"{n}. {request.prompt}" for n, request in enumerate(requests[:_MAX_LISTED_PROMPTS], 1)]
        if (left_out := len(requests) - _MAX_LISTED_PROMPTS) > 0:
            lines.append(f"… and {left_out} more")
        rose = "The price rose since you were asked. " if invocation.is_confirmed else ""
        files = {
            name: value.sha256
            for name, value in name_files(requests[0].stored_options).items()
            if isinstance(value, InputFile)
        }
        return ConfirmationRequired(
            "\n".join([f"{rose}{count} pictures with {model.title} cost {price[1]}. Go ahead?", *lines]),
            price_micros=price[0],
            button_label=f"Draw {count}",
            files=files,
            is_answer_public=True,
            alternative=alternative,
        )

    def build_inputs(self, count: int) -> dict[str, JSON]:
        return {}

    def refuse_count(self, count: int, room: int) -> LimitReached:
        return LimitReached(f"These are {count} requests, and you have room for {room} now. Ask for fewer, or wait.")

    def refuse_price(self, count: int, price: str, lasting: int) -> RequestRefused:
        return RequestRefused(
            f"These {count} requests cost {price} credits, and yours last for {lasting} of them. Ask for fewer, or for "
            "a cheaper model: /models shows the prices."
        )

    def has_output(self, items: Sequence[BatchItem]) -> bool:
        return any(item.result.pictures for item in items)

    async def finish(self, work: Work, items: Sequence[BatchItem]) -> None:
        """End a batch with the contact sheet."""
        pictures = [output for item in items for output in item.result.pictures]
        hashes = [output.sha256 for output in pictures]
        try:
            sheet = await work.services.media.keep_contact_sheet(hashes, is_output=True)
        except OSError as error:
            log.warning("job.no_sheet", extra={"job": work.job.id, "reason": str(error)})
            # The usual apology would say that nothing was charged.
            await fail(work, UserError("The contact sheet could not be stored. /show lists the pictures one by one."))
            return
        facts = (sheet.sha256, sheet.mime, sheet.size_bytes, sheet.width, sheet.height)
        is_flagged = any(picture.is_flagged for picture in pictures)
        alt = f"A contact sheet of {len(pictures)} pictures"
        await _record(work, "contact_sheet", [Output("", 1, *facts, alt=alt, is_flagged=is_flagged)])

    def render(self, work: Work, result: Result, items: Sequence[BatchItem]) -> list[Reply]:
        """Return the contact sheet with the first pictures, and the further pictures."""
        return split_galleries(work.services.presenter, work.job, work.model, result, items)


class SpeechBatch(BatchKind):
    """The parts of a long text: asked for as any other request, and shown as one sound."""

    async def must_ask(self, services: JobServices, invocation: Invocation, total: Estimate) -> bool:
        settings = await services.get_settings(invocation.user.platform, invocation.user.workspace)
        threshold_micros = services.credits.formatter.to_micros(settings.confirm_above_credits)
        return threshold_micros > 0 and total.max_micros > max(threshold_micros, invocation.confirmed_micros)

    def build_question(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        price: tuple[int, str],
        alternative: Alternative | None,
    ) -> ConfirmationRequired:
        text = f"Spoken in {len(requests)} parts, this costs {price[1]} with {model.title}. Go ahead?"
        return ConfirmationRequired(text, price_micros=price[0], is_answer_public=True)

    def build_inputs(self, count: int) -> dict[str, JSON]:
        return {"parts": count}

    def refuse_count(self, count: int, room: int) -> LimitReached:
        return LimitReached(
            f"This text takes {count} requests, and you have room for {room} now. Give a shorter text, or wait."
        )

    def refuse_price(self, count: int, price: str, lasting: int) -> RequestRefused:
        return RequestRefused(
            f"These {count} parts cost {price} credits, and yours last for {lasting} of them. Give a shorter text, or "
            "choose a cheaper model: /models shows the prices."
        )

    def has_output(self, items: Sequence[BatchItem]) -> bool:
        return any(item.result.files for item in items)

    async def finish(self, work: Work, items: Sequence[BatchItem]) -> None:
        """End a batch with the joined sound. Sounds that cannot be joined become the outputs one by one."""
        sounds = [sound for item in items for sound in item.result.files]
        alt = format_alt_text(dict(work.job.options), work.model, 1, 1)
        try:
            joined = await work.services.media.join_sounds([sound.sha256 for sound in sounds])
        except (BadFile, OSError) as error:  # a full disk too: the parts are stored, and paid
            log.warning("job.not_joined", extra={"job": work.job.id, "reason": str(error)})
            outputs = [replace(sound, n=n, alt=f"{alt}, part {n}") for n, sound in enumerate(sounds, 1)]
        else:
            seconds, is_flagged = joined.duration_seconds, any(sound.is_flagged for sound in sounds)
            facts = (joined.sha256, joined.mime, joined.size_bytes)
            outputs = [Output("", 1, *facts, alt=alt, duration_seconds=seconds, is_flagged=is_flagged)]
        await _record(work, "joined_sound", outputs)

    def render(self, work: Work, result: Result, items: Sequence[BatchItem]) -> list[Reply]:
        """Return the joined sound, or the first sounds and the further sounds."""
        return split_files(work.services.presenter.render_speech(work.job, work.model, result, items))


def _get_kind(command: str) -> BatchKind:
    return SpeechBatch() if command == Task.SPEAK else PictureBatch()


def _count_pictures(request: BatchRequest) -> int:
    count = request.options.get("count")
    return count if isinstance(count, int) else 1


async def _record(work: Work, state: str, outputs: Sequence[Output]) -> None:
    """Store what a batch shows, under a row of the predictions with a state of its own: nothing ran."""
    now = work.services.clock.now()
    record = PredictionRecord(new_id(), work.job.backend, work.job.model, "", {}, now, state=state)
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.add(record)
        await tx.outputs.add([replace(output, prediction=record.id) for output in outputs])
        paid = await work.services.credits.ledger.settle(tx, work.job.id, 0, now)
        moved = await work.move(tx, JobState.FINISHED, prediction=record.id, cost_micros=paid)
    work.job = moved


# Acceptance.


@dataclass(frozen=True, slots=True)
class BatchAcceptance:
    """Turns the requests of one invocation into committed jobs."""

    acceptance: Acceptance

    async def accept(
        self,
        invocation: Invocation,
        model: Model,
        requests: Sequence[BatchRequest],
        stored_options: Options,
        alternative: Alternative | None,
    ) -> AcceptedJob:
        """Return the jobs. Raise `ConfirmationRequired` first, with the `alternative` as a second button.

        Raise a `UserError` if not all of the requests are accepted: then nothing is stored or held.
        """
        # Words across the end of a part count too.
        text = collect_text(stored_options) or "\n".join(request.text for request in requests)
        acceptance = self.acceptance
        if (existing := await acceptance.check_backend(model, invocation.request_key)) is not None:
            return AcceptedJob(existing, is_new=False)
        prepared = [
            await acceptance.prepare(
                # What follows on the whole, such as the next answer of a chat with tools, does not follow on a part.
                replace(
                    invocation, request_key=f"{invocation.request_key}:{n}", press_key="", action="", placeholder=None
                ),
                model,
                request.options,
                request.stored_options,
            )
            for n, request in enumerate(requests, 1)
        ]
        total = Estimate(sum(job.estimate_micros for job, _ in prepared), sum(job.max_micros for job, _ in prepared))
        kind = _get_kind(invocation.command)
        must_ask = await kind.must_ask(acceptance.services, invocation, total)
        if must_ask or not invocation.is_confirmed:
            await self._check_means(invocation, prepared, text)
        if must_ask:
            price = total.max_micros, acceptance.services.credits.formatter.format_estimate(total)
            raise kind.build_question(invocation, model, requests, price, alternative)
        batch = self._build_batch(invocation, model, prepared, stored_options, total)
        members = [(replace(job, options={**job.options, "batch_id": batch.id}), other) for job, other in prepared]
        messages = (PostedMessage(batch.id, 0, invocation.placeholder),) if invocation.placeholder else ()
        try:
            jobs = await self._commit(batch, model, members, messages, text)
        except DuplicateRequest:
            return AcceptedJob(await acceptance.get_existing_job(batch.request_key), is_new=False)
        except DuplicatePress as error:
            raise AlreadyRunning("I am on it: that button was pressed a moment ago.") from error
        return AcceptedJob(batch, messages, batch_jobs=jobs)

    def _build_batch(
        self,
        invocation: Invocation,
        model: Model,
        prepared: Sequence[tuple[Job, Model]],
        stored_options: Options,
        total: Estimate,
    ) -> Job:
        options: dict[str, JSON] = {
            **encode_inputs(stored_options or {"prompt": str(invocation.options.get("prompt") or "")}),
            "model": model.key,
            "batch_jobs": [job.id for job, _ in prepared],
            "batch_micros": total.max_micros,
        }
        inputs = _get_kind(invocation.command).build_inputs(len(prepared))
        return self.acceptance.build_job(invocation, model, options, inputs, Estimate(0, 0))

    async def _check_means(self, invocation: Invocation, prepared: Sequence[tuple[Job, Model]], text: str) -> None:
        """Raise the refusal that would meet the requests after the question: nobody confirms to be refused."""
        user, services = invocation.user, self.acceptance.services
        refused_word = await self.acceptance.moderation.find_refused_word(user, text)
        async with services.database.read() as tx:
            await self.acceptance.moderation.check_request(tx, user, invocation.channel, prepared[0][1], refused_word)
            for job, model in prepared:
                await services.credits.has_room(tx, job, model)
            here, everywhere = await tx.jobs.count_open(user)
        limits = await services.credits.get_limits(user)
        # The batch itself is an open job too.
        room = MAX_OPEN_JOBS_PER_USER - everywhere - 1
        if limits.jobs_at_once is not None:
            room = min(room, limits.jobs_at_once - here - 1)
        room = room if limits.jobs_per_minute is None else min(room, limits.jobs_per_minute - 1)
        kind, count = _get_kind(invocation.command), len(prepared)
        if room < count:
            raise kind.refuse_count(count, max(room, 0))
        available_micros = (await services.credits.get_statement(user)).max_job_micros
        lasting, cost_micros = 0, 0
        for job, _ in prepared:
            cost_micros += job.max_micros
            lasting += cost_micros <= available_micros
        if lasting < count:
            raise kind.refuse_price(count, services.credits.formatter.format(cost_micros), lasting)

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


# Progress and result.


async def list_jobs(services: JobServices, batch: Job) -> list[Job]:
    """Return the kept jobs of a batch, in order; none for another job."""
    if not batch.batch_jobs:
        return []
    async with services.database.read() as tx:
        jobs = [await tx.jobs.get(job_id) for job_id in batch.batch_jobs]
    return [job for job in jobs if job is not None]


async def watch(work: Work) -> None:
    """Wait until each job of a batch has ended, showing how many; then end the batch with its sheet or sound."""
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
    kind = _get_kind(work.job.command)
    if kind.has_output(items):
        await kind.finish(work, items)
    elif work.cancel_requested.is_set() or all(job.state is JobState.CANCELLED for job in jobs):
        await cancel_unsubmitted(work)
    else:
        await fail(work, UserError(next((job.error for job in jobs if job.error), "Nothing was made.")))


async def render_progress(work: Work) -> Reply:
    """Return the message of an open batch as of now."""
    jobs = await list_jobs(work.services, work.job)
    ended_count = sum(job.notified_at is not None for job in jobs)
    return work.services.presenter.render_batch_progress(work.job, work.model, ended_count)


async def _load_items(services: JobServices, jobs: Sequence[Job]) -> list[BatchItem]:
    works = [Work(services, job, services.catalogue.get(job.model)) for job in jobs]
    return [BatchItem(work.job, await load_result(work)) for work in works]


async def render(services: JobServices, batch: Job) -> list[Reply]:
    """Return the messages of an ended batch."""
    work = Work(services, batch, services.catalogue.get(batch.model))
    items, result = await _load_items(services, await list_jobs(services, batch)), await load_result(work)
    return _get_kind(batch.command).render(work, result, items)


async def deliver(work: Work) -> None:
    """Show the result of a batch: its own message first, then a message for each further gallery."""
    shown = await show_or_record_failure(work, _show(work, await render(work.services, work.job)))
    if shown is None:
        return
    if work.job.may_lead_on and not await work.services.follow_ups.run(work.job):
        return
    await record_delivery(work, shown, is_delivered=True)


async def _show(work: Work, replies: Sequence[Reply]) -> list[PostedMessage]:
    first, *galleries = replies
    if not galleries:
        return await show_reply(work, first)
    shown = await work.editor.finish(first)
    for n, gallery in enumerate(galleries, 1):
        shown += await _show_gallery(work, shown[0], n, gallery)
    return shown


async def _show_gallery(work: Work, first: PostedMessage, n: int, reply: Reply) -> list[PostedMessage]:
    """Post and complete part `n` of a batch's message; a part that a dead process posted is completed alone."""
    # One nonce for each part in every process: a post repeated after a kill makes no second message.
    destination = replace(
        work.destination, nonce=format_nonce(work.job.id, n), placeholder=None, previous_part=first.ref
    )
    posted = next((message for message in work.posted if message.part == n), None)
    if posted is None:
        with counted(work.platform.name):
            ref = await work.platform.post(destination, reply)
        posted = PostedMessage(work.job.id, n, ref)
        await work.record_message(posted)
    # Some platforms attach files to posted messages only.
    editor = MessageEditor(work.platform, destination, [posted], record=work.record_message, clock=work.services.clock)
    return await editor.finish(reply)
