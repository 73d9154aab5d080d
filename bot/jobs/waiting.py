"""queued: a job waits for its turn, and its message says where it stands."""

import asyncio
import math
from collections.abc import Awaitable

from bot.core.replies import Progress, Reply, Stage
from bot.jobs.queue import QueueSlot
from bot.jobs.work import Work

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


async def first_completed(*waits: Awaitable[object]) -> None:
    """Wait for the first of these, and call the others off."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
