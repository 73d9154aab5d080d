"""queued → submitting → running: one create, never two.

Replicate has no idempotency key. So `submitting` is written before the create is sent. When it breaks half-way, or the
process dies there, we wait until the backend must have listed it and adopt a run with equal inputs that no job has
claimed. Only when there is none it is sent again.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.errors import AlreadyClaimed, BackendDown, PredictionGone, SubmitUnclear
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import fingerprint
from bot.jobs.files import from_row
from bot.jobs.work import Work

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""How long after a create a backend may take to list it (facts/storage.md, finding 7)."""

INPUTS_KEPT = timedelta(minutes=55)
"""Replicate forgets inputs after an hour: later nothing can be matched, so nothing may be sent again."""

CLOCK_SLACK = timedelta(seconds=30)
"""How far the backend's clock may be behind ours."""

STARTING_SECONDS = 600
"""How long a cold model may take to start before `Cancel-After` ends it."""

MAX_CREATES = 3


async def prepare(work: Work) -> None:
    """Hand files over, write down exactly what will be sent, and move to `submitting`."""
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
    await _create(work, record)


async def resume(work: Work, grace_seconds: float = GRACE_SECONDS) -> None:
    """A job found in `submitting`: the create may have been sent. Adopt, or send again."""
    async with work.parts.database.read() as tx:
        record = await tx.predictions.get(work.job.prediction)
    if record is None or record.submitted_at is None:
        raise PredictionGone("I lost track of this one while I was away. Please ask again; you were not charged.")
    await _wait_until(work, record.submitted_at + timedelta(seconds=grace_seconds))
    if not await _adopt(work, record):
        await _create_again(work, record, grace_seconds)


async def _create(work: Work, record: PredictionRecord, grace_seconds: float = GRACE_SECONDS) -> None:
    try:
        backend_id = await work.backend.submit(
            work.model,
            record.inputs,
            job=work.job.id,
            cancel_after_seconds=work.model.max_seconds + STARTING_SECONDS,
        )
    except SubmitUnclear:
        log.warning("job.submit_unclear", extra={"job": work.job.id})
        await work.parts.clock.sleep(grace_seconds)
        if not await _adopt(work, record):
            await _create_again(work, record, grace_seconds)
        return
    await _claim(work, record, backend_id)


async def _create_again(work: Work, record: PredictionRecord, grace_seconds: float) -> None:
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
    await _create(work, record, grace_seconds)


async def _adopt(work: Work, record: PredictionRecord) -> bool:
    """Take a run with equal inputs that nobody has claimed: equal inputs are interchangeable."""
    since: datetime = (record.submitted_at or record.created_at) - CLOCK_SLACK
    for snapshot in await work.backend.find(work.model, record.inputs, created_after=since):
        try:
            await _claim(work, record, snapshot.backend_id)
        except AlreadyClaimed:
            continue
        log.info("job.adopted", extra={"job": work.job.id, "prediction": snapshot.backend_id})
        return True
    return False


async def _claim(work: Work, record: PredictionRecord, backend_id: str) -> None:
    """Store the backend's id; the unique index decides between claimants."""
    async with work.parts.database.write(is_urgent=True) as tx:
        await tx.predictions.claim(record.id, backend_id)
        moved = await work.move(tx, JobState.RUNNING)
    work.job, work.record = moved, replace(record, backend_id=backend_id)


async def _wait_until(work: Work, moment: datetime) -> None:
    seconds = (moment - work.parts.clock.now()).total_seconds()
    if seconds > 0:
        await work.parts.clock.sleep(seconds)
