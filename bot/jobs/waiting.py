"""queued: a job waits for its turn, and its message says where it stands."""

import asyncio
import math
from collections.abc import Awaitable

from bot.core.replies import Progress, Reply, Stage
from bot.jobs.queue import Turn
from bot.jobs.work import Work

SECONDS_BEFORE_TOLD = 1.0
"""Who waits for a moment only is told of no place."""

SECONDS_BETWEEN_LOOKS = 3.0

TOLD_EACH = 10
"""From this place on every change is told, before it one of a tenth: a line of hundreds is no flood of edits."""


async def come(work: Work, turn: Turn) -> None:
    """Wait until the turn comes, or nobody wants the job any more."""
    turn.join()
    if not turn.has_come:
        await either(turn.come(), work.cancelled.wait(), _tell(work, turn))
    if work.cancelled.is_set():
        turn.leave()


async def either(*waits: Awaitable[object]) -> None:
    """Wait for the first of these, and call the others off."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(work: Work, turn: Turn) -> None:
    told: int | None = None
    await work.parts.clock.sleep(SECONDS_BEFORE_TOLD)
    while True:
        place = turn.where(work.parts.clock.monotonic())
        if place is not None and is_news(place.number, told):
            told = place.number
            work.editor.show(lambda: _reply(work, turn))
        await work.parts.clock.sleep(SECONDS_BETWEEN_LOOKS)


def is_news(number: int, told: int | None) -> bool:
    """Whether a place differs enough from the one that was told last."""
    if told is None or number == told:
        return told is None
    return number <= TOLD_EACH or abs(number - told) * 10 >= told


def _reply(work: Work, turn: Turn) -> Reply:
    """The message as it is when there is leave to edit it, which may be a while after it was asked for."""
    place = turn.where(work.parts.clock.monotonic())
    elapsed = (work.parts.clock.now() - work.job.created_at).total_seconds()
    expected = None
    if place is not None and place.at_once and work.usual_seconds:
        # A run ends in front of us once for every `at_once`th of the usual time; then ours takes as long.
        expected = round(elapsed + work.usual_seconds * (math.ceil(place.number / place.at_once) + 1)) or None
    progress = Progress(Stage.QUEUED, None, int(elapsed), expected, place.number if place else None)
    return work.parts.presenter.working(work.job, work.model, progress)
