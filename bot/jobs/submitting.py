"""queued → submitting → running: one create, never two.

Replicate has no idempotency key. So `submitting` is written before the create is sent. When it breaks half-way, or the
process dies there, we wait until the backend must have listed it and adopt a run with equal inputs that no job has
claimed. Only when there is none it is sent again.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.core.errors import AlreadyClaimed, BackendBusy, BackendDown, BackendError, PredictionGone, SubmitUnclear
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import fingerprint
from bot.core.predictions import Snapshot
from bot.jobs.closing import cancel_unsubmitted
from bot.jobs.files import from_row
from bot.jobs.waiting import come, either
from bot.jobs.watching import LOOK_AGAIN_SECONDS
from bot.jobs.work import Work

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""How long after a create a backend may take to list it; measured where POST and crash met, docs/reliability.md."""

INPUTS_KEPT = timedelta(minutes=55)
"""Replicate forgets inputs after an hour: later nothing can be matched, so nothing may be sent again."""

CLOCK_SLACK = timedelta(seconds=30)
"""How far the backend's clock may be behind ours."""

STARTING_SECONDS = 600
"""How long a cold model may take to start before `Cancel-After` ends it."""

MAX_CREATES = 3


class _Sent(Enum):
    """What came of one create."""

    CLAIMED = auto()
    NOTHING = auto()
    """It surely made nothing: throttled, or not sent yet."""
    UNCLEAR = auto()
    """It broke half-way, and may have made a run."""


async def prepare(work: Work) -> None:
    """Wait in line, hand files over, write down exactly what will be sent, move to `submitting`, and send it."""
    async with _turn(work) as is_wanted:
        if is_wanted:
            record = await _write_down(work)
            sent = await _send(work, record)
    if is_wanted:
        await _until_claimed(work, record, sent, GRACE_SECONDS)
    else:
        await cancel_unsubmitted(work)


async def resume(work: Work, grace_seconds: float = GRACE_SECONDS) -> None:
    """A job found in `submitting`: the create may have been sent. Adopt, or send again."""
    async with work.parts.database.read() as tx:
        record = await tx.predictions.get(work.job.prediction)
    if record is None:
        raise PredictionGone("I lost track of this one while I was away. Please ask again; you were not charged.")
    sent = _Sent.UNCLEAR
    if record.submitted_at is None:  # the second run of a job (`trying_again`), which nobody asked for yet
        await _pause(work, work.job.run_after)
        record, sent = await _mark_submitted(work, record), _Sent.NOTHING
    elif not record.backend_id:
        await _pause(work, record.submitted_at + timedelta(seconds=grace_seconds), at_most=grace_seconds)
    if sent is _Sent.NOTHING or not await _adopt(work, record):
        if sent is _Sent.UNCLEAR:
            await _count_another_create(work, record)
        await _until_claimed(work, record, _Sent.NOTHING, grace_seconds)


async def _write_down(work: Work) -> PredictionRecord:
    inputs = await work.backend.prepare(work.model, from_row(work.job.inputs, work.parts.media))
    now = work.parts.clock.now()
    record = PredictionRecord(
        id=new_id(),
        backend=work.job.backend,
        model=work.job.model,
        fingerprint=fingerprint(work.job.model, inputs),
        inputs=inputs,
        created_at=now,
        submitted_at=now,
    )
    async with work.parts.database.write() as tx:
        await tx.predictions.add(record)
        moved = await work.move(tx, JobState.SUBMITTING, prediction=record.id)
    work.job, work.record = moved, record
    return record


async def _mark_submitted(work: Work, record: PredictionRecord) -> PredictionRecord:
    now = work.parts.clock.now()
    async with work.parts.database.write(is_urgent=True) as tx:
        await tx.predictions.mark_submitted(record.id, now)
    return replace(record, submitted_at=now)


async def _until_claimed(work: Work, record: PredictionRecord, sent: _Sent, grace_seconds: float) -> None:
    """Send again what surely made nothing; look for what may have; until the job has its run or is not wanted."""
    while sent is not _Sent.CLAIMED:
        if sent is _Sent.UNCLEAR:
            await either(work.parts.clock.sleep(grace_seconds), work.told.wait())
            if await _adopt(work, record):
                return
            await _count_another_create(work, record)
        async with _turn(work, is_again=True) as is_wanted:
            if is_wanted:
                sent = await _send(work, record)
        if not is_wanted:
            await cancel_unsubmitted(work)
            return


@asynccontextmanager
async def _turn(work: Work, *, is_again: bool = False) -> AsyncIterator[bool]:
    """A turn to create; False instead, as soon as somebody wants the job stopped."""
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(_enter(work, stack, is_again=is_again))
        await either(entering, work.cancelled.wait())
        if not work.cancelled.is_set():
            entering.result()
        yield not work.cancelled.is_set()


async def _enter(work: Work, stack: AsyncExitStack, *, is_again: bool) -> None:
    """One job at a time waits for a create, by the order of the queue; who was throttled had its turn already."""
    turn = None if is_again else work.parts.queue.create(work.job)
    try:
        if turn is not None:
            await come(work, turn)
        await stack.enter_async_context(work.backend.turn(is_again=is_again))
    finally:
        if turn is not None:
            turn.leave()


async def _send(work: Work, record: PredictionRecord) -> _Sent:
    """One create."""
    try:
        backend_id = await work.backend.submit(
            work.model,
            record.inputs,
            job=work.job.id,
            cancel_after_seconds=work.model.max_seconds + STARTING_SECONDS,
        )
    except BackendBusy as error:
        log.info("job.throttled", extra={"job": work.job.id, "wait_seconds": error.retry_after})
        return _Sent.NOTHING
    except SubmitUnclear:
        log.warning("job.submit_unclear", extra={"job": work.job.id})
        return _Sent.UNCLEAR
    try:
        await _claim(work, record, backend_id)
    except AlreadyClaimed:
        return await _leave_stray(work, record, backend_id)
    return _Sent.CLAIMED


async def _leave_stray(work: Work, record: PredictionRecord, backend_id: str) -> _Sent:
    """Our run is not ours to have: a notice gave us an earlier one meanwhile, or an equal ask adopted this one."""
    async with work.parts.database.read() as tx:
        known = await tx.predictions.get(record.id)
    log.warning("job.stray_run", extra={"job": work.job.id, "prediction": backend_id})
    if known is not None and known.backend_id:  # one is enough; an adopted one belongs to somebody else
        with contextlib.suppress(BackendError):  # `Cancel-After` ends it in any case
            await work.backend.cancel(backend_id)
    return _Sent.CLAIMED if await _adopt(work, record) else _Sent.UNCLEAR


async def _count_another_create(work: Work, record: PredictionRecord) -> None:
    """Before a create is sent again. Raises when it must not be: too late to know, or too often already."""
    sent_at = record.submitted_at or record.created_at
    if work.parts.clock.now() - sent_at > INPUTS_KEPT:
        raise PredictionGone(
            "I was away for too long to know whether this ran. Please ask again; you were not charged."
        )
    if work.job.attempts + 1 >= MAX_CREATES:
        raise BackendDown("The model's service breaks off every time I ask. Please try again later.")
    async with work.parts.database.write(is_urgent=True) as tx:
        moved = await work.move(tx, JobState.SUBMITTING, attempts=work.job.attempts + 1)
    work.job = moved


async def _adopt(work: Work, record: PredictionRecord) -> bool:
    """Take the run that a notice brought, or one with equal inputs that nobody has: those are interchangeable."""
    async with work.parts.database.read() as tx:
        known = await tx.predictions.get(record.id)
    if known is not None and known.backend_id:
        await _claim(work, record, known.backend_id)
        return True
    for snapshot in await _find(work, record):
        try:
            await _claim(work, record, snapshot.backend_id)
        except AlreadyClaimed:
            continue
        log.info("job.adopted", extra={"job": work.job.id, "prediction": snapshot.backend_id})
        return True
    return False


async def _find(work: Work, record: PredictionRecord) -> list[Snapshot]:
    """What a create may have made. Asked again while the backend is away: a paid run must not be given up."""
    sent_at = record.submitted_at or record.created_at
    for wait in itertools.chain(LOOK_AGAIN_SECONDS, itertools.repeat(LOOK_AGAIN_SECONDS[-1])):
        try:
            return await work.backend.find(work.model, record.inputs, created_after=sent_at - CLOCK_SLACK)
        except (BackendDown, BackendBusy):
            if work.parts.clock.now() - sent_at > INPUTS_KEPT:
                raise
            await work.parts.clock.sleep(wait)
    raise AssertionError("the chain of waits has no end")


async def _claim(work: Work, record: PredictionRecord, backend_id: str) -> None:
    """Store the backend's id; the unique index decides between claimants."""
    async with work.parts.database.write(is_urgent=True) as tx:
        await tx.predictions.bind_backend_id(record.id, backend_id)
        moved = await work.move(tx, JobState.RUNNING)
    work.job, work.record = moved, replace(record, backend_id=backend_id)


async def _pause(work: Work, until: datetime | None, at_most: float = 60.0) -> None:
    """Wait for a moment, or for a notice, or for somebody to stop the job; never long, should the clock be set back."""
    seconds = min((until - work.parts.clock.now()).total_seconds(), at_most) if until is not None else 0
    if seconds > 0:
        await either(work.parts.clock.sleep(seconds), work.told.wait(), work.cancelled.wait())
