"""accepted → queued: the placeholder is posted and its address stored before any money can be spent at a backend."""

import math
from dataclasses import replace

from bot.core.background_tasks import first_completed
from bot.core.errors import UserError
from bot.core.jobs import JobState, PostedMessage
from bot.core.platform import MessageLost
from bot.core.replies import Progress, Reply, Stage
from bot.jobs.completion import fail
from bot.jobs.job_queues import QueueSlot
from bot.jobs.work import Work
from bot.streaming.editor import counted


async def post_placeholder(work: Work) -> None:
    """Post the placeholder. Where nothing can be posted the job fails and the money goes back."""
    working = work.services.presenter.render_progress(work.job, work.model, Progress(Stage.QUEUED))
    waiting = work.posted[0].ref if work.posted else None
    try:
        with counted(work.platform.name):
            ref = await work.platform.post(replace(work.destination, placeholder=waiting), working)
    except MessageLost as error:
        await fail(work, UserError(str(error) or "I cannot post there."))
        return
    message = PostedMessage(work.job.id, 0, ref)
    async with work.services.database.write() as tx:
        await tx.messages.put(message)
        turn = work.services.queues.slot_for_run(work.job, work.model)
        moved = await work.move(tx, JobState.QUEUED, queue_time=turn.finish_time)
    work.job, work.posted = moved, [message]


# MERGED queued: a job waits for its turn, and its message says where it stands.

FIRST_POSITION_SECONDS = 1.0
"""Who waits for a moment only is told of no place."""

POSITION_CHECK_SECONDS = 3.0

MAX_EXACT_POSITION = 10
"""From this place on every change is told, before it one of a tenth: a line of hundreds is no flood of edits."""


async def wait_for_slot(work: Work, slot: QueueSlot) -> None:
    """Wait until the turn comes, or nobody wants the job any more."""
    slot.join()
    if not slot.is_granted:
        await first_completed(slot.wait(), work.cancel_requested.wait(), _show_position(work, slot))
    if work.cancel_requested.is_set():
        slot.leave()


async def _show_position(work: Work, slot: QueueSlot) -> None:
    told: int | None = None
    await work.services.clock.sleep(FIRST_POSITION_SECONDS)
    while True:
        place = slot.get_position(work.services.clock.monotonic())
        if place is not None and has_position_changed(place.number, told):
            told = place.number
            work.editor.show(lambda: _render_position(work, slot))
        await work.services.clock.sleep(POSITION_CHECK_SECONDS)


def has_position_changed(position: int, last_position: int | None) -> bool:
    """Whether a place differs enough from the one that was told last."""
    if last_position is None or position == last_position:
        return last_position is None
    return position <= MAX_EXACT_POSITION or abs(position - last_position) * 10 >= last_position


def _render_position(work: Work, slot: QueueSlot) -> Reply:
    """The message as it is when there is leave to edit it, which may be a while after it was asked for."""
    place = slot.get_position(work.services.clock.monotonic())
    elapsed = (work.services.clock.now() - work.job.created_at).total_seconds()
    expected = None
    if place is not None and place.concurrency and work.usual_seconds:
        # A run ends in front of us once for every `at_once`th of the usual time; then ours takes as long.
        expected = round(elapsed + work.usual_seconds * (math.ceil(place.number / place.concurrency) + 1)) or None
    progress = Progress(Stage.QUEUED, None, int(elapsed), expected, place.number if place else None)
    return work.services.presenter.render_progress(work.job, work.model, progress)
