"""queued → finished without a run: a job waits for the run of an identical one, and ends as that does.

The leader's Stop ends the run only when nobody follows any more. Until then it goes on, and the leader gets and pays
what they asked for, no more and no less: a Stop with followers neither makes anything free nor anybody else pay. Where
the leader was stopped before anything ran, one of the followers leads from there on, and pays as for an ask of its own.
"""

import logging
from dataclasses import replace

from bot.core.errors import AlreadyLed, EaselError, UserError
from bot.core.ids import new_id
from bot.core.jobs import OPEN_STATES, Job, JobState
from bot.core.replies import Progress, Stage
from bot.core.storage import Transaction
from bot.credits.pricing import estimate
from bot.jobs.closing import cancel_unsubmitted, fail, finish_free
from bot.jobs.waiting import either
from bot.jobs.work import Work

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often a follower looks by itself: its leader may be in another process."""


async def follow(work: Work) -> None:
    """Wait for the end of the job whose run this one shares, and end alike."""
    while work.job.state in OPEN_STATES:
        bell = work.parts.bells.of(work.job.shares)
        async with work.parts.database.read() as tx:
            leader = await tx.jobs.get(work.job.shares)
            is_made = leader is not None and bool(leader.prediction and await tx.outputs.of(leader.prediction))
        if work.cancelled.is_set():
            await cancel_unsubmitted(work)
        elif leader is not None and leader.state in OPEN_STATES:
            _show(work, leader)
            await either(bell.wait(), work.cancelled.wait(), work.parts.clock.sleep(LOOK_SECONDS))
        elif leader is not None and leader.state is JobState.FAILED and leader.prediction:
            await fail(work, EaselError(leader.error))
        elif leader is not None and leader.state is not JobState.CANCELLED and is_made:
            await finish_free(work, leader.prediction)
        else:
            await _go_on_alone(work)


async def until_unwanted(work: Work) -> None:
    """Wait until somebody wants a run stopped and nobody follows it."""
    await work.cancelled.wait()
    while True:
        bell = work.parts.bells.of(work.job.id)
        if not work.job.share_key or not await _count_followers(work):
            return
        work.note = "others asked for the very same, so it goes on"
        await either(bell.wait(), work.parts.clock.sleep(LOOK_SECONDS))


async def _count_followers(work: Work) -> int:
    async with work.parts.database.read() as tx:
        return await tx.jobs.count_following(work.job.id)


def _show(work: Work, leader: Job) -> None:
    stage = Stage.RUNNING if leader.state is JobState.RUNNING else Stage.QUEUED
    elapsed = int((work.parts.clock.now() - work.job.created_at).total_seconds())
    usual = round(work.usual_seconds) if work.usual_seconds else None
    progress = Progress(stage, None, elapsed, usual or None)
    work.editor.show(work.parts.presenter.working(work.job, work.model, progress))


async def _go_on_alone(work: Work) -> None:
    """The leader came to nothing: follow the next, or lead. Raises a `UserError` when that cannot be paid."""
    try:
        async with work.parts.database.write(is_urgent=True) as tx:
            leader = await tx.jobs.leading(work.job)
            if leader is not None:
                moved = await work.move(tx, work.job.state, shares=leader.id)
            else:
                moved, heir = await _bequeath(tx, work)
    except AlreadyLed:  # in this moment, by another process
        return
    except UserError as error:
        raise UserError(f"Somebody asked for the very same, and stopped it before it was made. {error}") from error
    work.job = moved
    if leader is None:
        work.heir = heir
        log.info("job.leads_now", extra={"job": heir.id, "before": moved.id})


async def _bequeath(tx: Transaction, work: Work) -> tuple[Job, Job]:
    """This job ends, and one of its own takes its place and its messages: money is held for a job once only."""
    now, job, credits_ = work.parts.clock.now(), work.job, work.parts.credits
    ended = await work.move(tx, JobState.CANCELLED, cost=0, told_at=now)
    await credits_.ledger.release(tx, job.id, 0, now)
    told = estimate(work.model, job.inputs, work.usual_seconds)
    heir = replace(
        job,
        id=(heir_id := new_id()),
        request_key=f"{job.request_key}~{heir_id}",
        epoch=0,
        updated_at=now,
        cancel_by=ended.cancel_by,
        shares="",
        prediction="",
        is_reused=False,
        told_about=told.about,
        told_at_most=told.at_most,
    )
    await tx.jobs.add(heir)
    await tx.messages.hand_over(job.id, heir.id)
    limits = await credits_.policies.limits_of(tx, job.user)
    accounts = await credits_.ledger.opened(tx, job.user, limits, now)
    await credits_.ledger.hold_on(tx, accounts, heir.id, job.user, heir.told_at_most, limits, now)
    return ended, heir
