"""The message of a job: the placeholder (accepted → queued), the position in the queue, the result (→ delivered).

Delivery edits the placeholder into the result. Editing is idempotent: a crash between the edit and the commit repeats
the edit after the restart.
"""

import logging
import math
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from bot.core.background_tasks import first_completed
from bot.core.errors import Unavailable, UserError
from bot.core.jobs import JobState, MessageState, Output, PostedMessage
from bot.core.models import Task
from bot.core.platform import MessageLost, format_nonce
from bot.core.replies import Progress, Reply, Stage
from bot.jobs.completion import fail
from bot.jobs.job_queues import QueueSlot
from bot.jobs.presenting import Result
from bot.jobs.work import Work
from bot.streaming.editor import counted
from bot.telemetry import metrics

log = logging.getLogger(__name__)

FIRST_POSITION_SECONDS = 1.0
"""A shorter wait shows no position."""

POSITION_CHECK_SECONDS = 3.0

_VOICE_PART = 1

MAX_EXACT_POSITION = 10
"""Up to this position each change is shown, beyond, changes of a tenth: a queue of hundreds causes no edit flood."""


async def post_placeholder(work: Work) -> None:
    """Post the placeholder; fail the job and release the hold if the platform cannot show messages there."""
    if work.job.batch_id:
        await _join_queue(work, [])
        return
    reply = work.services.presenter.render_progress(work.job, work.model, Progress(Stage.QUEUED))
    # The platform may have posted a message already, such as a deferred interaction: the reply fills that message.
    placeholder = work.posted[0].ref if work.posted else None
    try:
        with counted(work.platform.name):
            ref = await work.platform.post(replace(work.destination, placeholder=placeholder), reply)
    except MessageLost as error:
        await fail(work, UserError(str(error) or "I cannot post there."))
        return
    # The address is stored before a backend can bill: after a crash the paid result must find the message.
    await _join_queue(work, [PostedMessage(work.job.id, 0, ref)])


async def _join_queue(work: Work, posted: list[PostedMessage]) -> None:
    """Move a job, accepted → queued, and store its message."""
    async with work.services.database.write(is_urgent=True) as tx:
        for message in posted:
            await tx.messages.put(message)
        slot = work.services.queues.slot_for_run(work.job, work.model)
        moved = await work.post_move(tx, JobState.QUEUED, queue_time=slot.finish_time)
    work.job, work.posted = moved(), posted


async def wait_for_slot(work: Work, slot: QueueSlot) -> None:
    """Wait until the slot is granted or the job is cancelled, showing the position meanwhile."""
    slot.join()
    if not slot.is_granted:
        await first_completed(slot.wait(), work.cancel_requested.wait(), _show_position(work, slot))
    if work.cancel_requested.is_set():
        slot.leave()


async def _show_position(work: Work, slot: QueueSlot) -> None:
    shown_number: int | None = None
    await work.services.clock.sleep(FIRST_POSITION_SECONDS)
    while True:
        position = slot.get_position(work.services.clock.monotonic())
        if position is not None and has_position_changed(position.number, shown_number):
            shown_number = position.number
            work.editor.show(lambda: _render_position(work, slot))
        await work.services.clock.sleep(POSITION_CHECK_SECONDS)


def has_position_changed(position: int, last_position: int | None) -> bool:
    """Return whether a position differs enough from the last shown position to be worth an edit."""
    if last_position is None or position == last_position:
        return last_position is None
    return position <= MAX_EXACT_POSITION or abs(position - last_position) * 10 >= last_position


def _render_position(work: Work, slot: QueueSlot) -> Reply:
    # The editor calls this when the rate limit lets the edit pass, which may be long after `show`: read anew.
    position = slot.get_position(work.services.clock.monotonic())
    elapsed_seconds = (work.services.clock.now() - work.job.created_at).total_seconds()
    expected_seconds = None
    if position is not None and position.concurrency and work.usual_seconds:
        # Each round of `concurrency` runs takes the usual time, and so does the job's own run after the last round.
        rounds = math.ceil(position.number / position.concurrency) + 1
        expected_seconds = round(elapsed_seconds + work.usual_seconds * rounds) or None
    number = position.number if position else None
    progress = Progress(Stage.QUEUED, None, int(elapsed_seconds), expected_seconds, number)
    return work.services.presenter.render_progress(work.job, work.model, progress)


async def deliver(work: Work) -> None:
    """Show the final message. An undeliverable result stays with the job, for `/show`."""
    shown = await show_or_record_failure(work, show_reply(work, await render(work)))
    if shown is None:
        return
    # Before the job counts as delivered: after a kill in between, the next process begins what follows, once.
    if work.job.may_lead_on and not await work.services.follow_ups.run(work.job):
        return
    await record_delivery(work, shown, is_delivered=True)
    log.info("job.delivered", extra={"job": work.job.id, "state": work.job.state, "micros": work.job.cost_micros})


async def render(work: Work) -> Reply:
    """Return the final message of a job."""
    return work.services.presenter.render_result(work.job, work.model, await load_result(work))


async def show_reply(work: Work, reply: Reply) -> list[PostedMessage]:
    """Show a final message, and a speech as a voice message below where the platform can."""
    voice = await _show_voice(work, reply)
    if voice is None:
        return await work.editor.finish(reply)
    return [*await work.editor.finish(replace(reply, result_files=())), voice]


async def _show_voice(work: Work, reply: Reply) -> PostedMessage | None:
    """Return the voice message of a speech; None where the message itself takes the sound."""
    if (posted := next((message for message in work.posted if message.part == _VOICE_PART), None)) is not None:
        return posted if work.model.task is Task.SPEAK else None
    is_speech = work.model.task is Task.SPEAK and not reply.is_private and bool(work.posted)
    if not is_speech or [file.mime for file in reply.result_files] != [work.platform.limits.voice_mime]:
        return None
    # One nonce in every process: a post repeated after a kill makes no second message.
    nonce = format_nonce(work.job.id, _VOICE_PART)
    destination = replace(work.destination, nonce=nonce, placeholder=None, previous_part=work.posted[0].ref)
    try:
        with counted(work.platform.name):
            ref = await work.platform.post(destination, Reply(result_files=reply.result_files, is_voice=True))
    except Exception as error:  # an SDK may raise anything, and the sound has another place
        log.info("job.voice_refused", extra={"job": work.job.id, "reason": repr(error)})
        return None
    posted = PostedMessage(work.job.id, _VOICE_PART, ref, MessageState.FINAL)
    await work.record_message(posted)
    return posted


async def show_or_record_failure(work: Work, showing: Awaitable[list[PostedMessage]]) -> list[PostedMessage] | None:
    """Return the messages that show a result; None where the platform refuses the result, which is recorded."""
    try:
        return await showing
    except Unavailable:
        raise
    except Exception as error:  # an SDK may raise anything, and the editor has retried several times
        reason = str(error) if isinstance(error, MessageLost) else repr(error)
        log.warning("job.undeliverable", extra={"job": work.job.id, "reason": reason})
        await record_delivery(work, [], is_delivered=False)
        return None


async def load_result(work: Work) -> Result:
    """Return a job's result, from memory if this process completed the job, else from the rows."""
    if work.result is not None:
        result = replace(work.result, is_cut=_is_cut(work, work.result.outputs))
    elif not work.job.prediction:
        return Result(())
    else:
        async with work.services.database.read() as tx:
            outputs = work.job.select_outputs(await tx.outputs.list_outputs(work.job.prediction))
            record = await tx.predictions.get(work.job.prediction)
        result = Result(outputs, record.predict_seconds if record else None, _is_cut(work, outputs))
    if not result.pictures:
        return result
    has_parent = await _has_parent(work)
    settings = await work.services.get_settings(work.job.channel.platform, work.job.channel.workspace)
    return replace(result, has_parent=has_parent, has_recipe=settings.prompts)


async def _has_parent(work: Work) -> bool:
    """Return whether the job was given a picture that a job made, to which Undo goes back."""
    if not work.job.given_files:
        return False
    async with work.services.database.read() as tx:
        return bool(await tx.jobs.find_sources(work.job, 1))


def _is_cut(work: Work, outputs: Sequence[Output]) -> bool:
    """Return whether an answer is incomplete: stopped by the user, or as long as `max_tokens` allowed."""
    if work.job.state is JobState.CANCELLED:
        return bool(outputs)
    max_tokens = work.job.options.get("max_tokens")
    length_bytes = sum(len(output.text.encode()) for output in outputs)
    # Tokens of English have four bytes on average; an answer this long most likely hit the limit.
    return isinstance(max_tokens, int) and length_bytes >= max_tokens * 4


async def record_delivery(work: Work, shown: list[PostedMessage], *, is_delivered: bool) -> None:
    """Store the end of a job with its messages."""
    now = work.services.clock.now()
    webhooks = work.services.webhooks
    is_posted = await webhooks.wants(work.job)
    async with work.services.database.write(is_urgent=True) as tx:
        for message in shown:
            await tx.messages.put(message)
        if is_posted:
            await webhooks.add(tx, work.job)
        state = _get_final_state(work.job.state, is_delivered=is_delivered)
        moving = await work.post_move(tx, state, notified_at=now)
    work.job = moved = moving()
    if is_posted:
        webhooks.notify()
    metrics.jobs.labels(command=moved.command, platform=moved.user.platform, outcome=moved.state.value).inc()
    if is_delivered:
        seconds = (now - moved.created_at).total_seconds()
        metrics.job_seconds.labels(command=moved.command, platform=moved.user.platform).observe(seconds)


def _get_final_state(state: JobState, *, is_delivered: bool) -> JobState:
    if state is not JobState.FINISHED:  # failed and cancelled jobs keep the state; `notified_at` marks the delivery
        return state
    return JobState.DELIVERED if is_delivered else JobState.UNDELIVERABLE
