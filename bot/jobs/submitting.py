"""Files among a job's inputs: rows name them by content, backends get where they lie."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.core.backend import InputFile, Inputs, RunSnapshot
from bot.core.background_tasks import first_completed
from bot.core.errors import (
    AlreadyClaimed,
    BackendBusy,
    BackendDown,
    BackendError,
    BadFile,
    PredictionGone,
    SubmitUnclear,
)
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import JSON, fingerprint
from bot.jobs.completion import cancel_unsubmitted
from bot.jobs.placeholder import wait_for_slot
from bot.jobs.watching import BACKEND_RETRY_SECONDS
from bot.jobs.work import Work
from bot.media.media import Media


def encode_inputs(inputs: Inputs) -> dict[str, JSON]:
    """Inputs as a row keeps them: a file is `{"sha256", "mime", "size"}`."""
    return {
        name: {"sha256": value.sha256, "mime": value.mime, "size": value.size_bytes}
        if isinstance(value, InputFile)
        else value
        for name, value in inputs.items()
    }


def decode_inputs(inputs: Mapping[str, JSON], media: Media) -> dict[str, JSON | InputFile]:
    """The same with files found again; raises `BadFile` when one is not kept any more."""
    return {name: _file(value, media) if _is_file(value) else value for name, value in inputs.items()}


def _is_file(value: JSON) -> bool:
    return isinstance(value, dict) and value.keys() == {"sha256", "mime", "size"}


def _file(value: JSON, media: Media) -> InputFile:
    assert isinstance(value, dict)  # noqa: S101 - _is_file said so
    path = media.find_path(str(value["sha256"]))
    if path is None:
        raise BadFile("The picture this starts from is not kept any more. Please give it again.")
    return InputFile(str(value["sha256"]), str(value["mime"]), int(str(value["size"])), str(path))


# MERGED queued → submitting → running: one create, never two.
# MERGED Replicate has no idempotency key. So `submitting` is written before the create is sent. When it breaks half-
# MERGED way, or the
# MERGED process dies there, we wait until the backend must have listed it and adopt a run with equal inputs that no
# MERGED job has
# MERGED claimed. Only when there is none it is sent again.

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""How long after a create a backend may take to list it; measured where POST and crash met, docs/reliability.md."""

INPUT_RETENTION = timedelta(minutes=55)
"""Replicate forgets inputs after an hour: later nothing can be matched, so nothing may be sent again."""

CLOCK_SLACK = timedelta(seconds=30)
"""How far the backend's clock may be behind ours."""

COLD_START_SECONDS = 600
"""How long a cold model may take to start before `Cancel-After` ends it."""

MAX_CREATES = 3


class _CreateOutcome(Enum):
    """What came of one create."""

    CLAIMED = auto()
    NOTHING = auto()
    """It surely made nothing: throttled, or not sent yet."""
    UNCLEAR = auto()
    """It broke half-way, and may have made a run."""


async def submit(work: Work) -> None:
    """Wait in line, hand files over, write down exactly what will be sent, move to `submitting`, and send it."""
    async with _acquire_create_slot(work) as is_wanted:
        if is_wanted:
            record = await _save_prediction(work)
            sent = await _create(work, record)
    if is_wanted:
        await _until_claimed(work, record, sent, GRACE_SECONDS)
    else:
        await cancel_unsubmitted(work)


async def resume_submission(work: Work, grace_seconds: float = GRACE_SECONDS) -> None:
    """A job found in `submitting`: the create may have been sent. Adopt, or send again."""
    async with work.services.database.read() as tx:
        record = await tx.predictions.get(work.job.prediction)
    if record is None:
        raise PredictionGone("I lost track of this one while I was away. Please ask again; you were not charged.")
    sent = _CreateOutcome.UNCLEAR
    if record.submitted_at is None:  # the second run of a job (`trying_again`), which nobody asked for yet
        await _pause(work, work.job.run_after)
        record, sent = await _mark_submitted(work, record), _CreateOutcome.NOTHING
    elif not record.backend_id:
        await _pause(work, record.submitted_at + timedelta(seconds=grace_seconds), at_most=grace_seconds)
    if sent is _CreateOutcome.NOTHING or not await _adopt(work, record):
        if sent is _CreateOutcome.UNCLEAR:
            await _count_another_create(work, record)
        await _until_claimed(work, record, _CreateOutcome.NOTHING, grace_seconds)


async def _save_prediction(work: Work) -> PredictionRecord:
    inputs = await work.backend.prepare(work.model, decode_inputs(work.job.inputs, work.services.media))
    now = work.services.clock.now()
    record = PredictionRecord(
        id=new_id(),
        backend=work.job.backend,
        model=work.job.model,
        fingerprint=fingerprint(work.job.model, inputs),
        inputs=inputs,
        created_at=now,
        submitted_at=now,
    )
    async with work.services.database.write() as tx:
        await tx.predictions.add(record)
        moved = await work.move(tx, JobState.SUBMITTING, prediction=record.id)
    work.job, work.record = moved, record
    return record


async def _mark_submitted(work: Work, record: PredictionRecord) -> PredictionRecord:
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.mark_submitted(record.id, now)
    return replace(record, submitted_at=now)


async def _until_claimed(work: Work, record: PredictionRecord, sent: _CreateOutcome, grace_seconds: float) -> None:
    """Send again what surely made nothing; look for what may have; until the job has its run or is not wanted."""
    while sent is not _CreateOutcome.CLAIMED:
        if sent is _CreateOutcome.UNCLEAR:
            await first_completed(work.services.clock.sleep(grace_seconds), work.run_assigned.wait())
            if await _adopt(work, record):
                return
            await _count_another_create(work, record)
        async with _acquire_create_slot(work, is_retry=True) as is_wanted:
            if is_wanted:
                sent = await _create(work, record)
        if not is_wanted:
            await cancel_unsubmitted(work)
            return


@asynccontextmanager
async def _acquire_create_slot(work: Work, *, is_retry: bool = False) -> AsyncIterator[bool]:
    """A turn to create; False instead, as soon as somebody wants the job stopped."""
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(_wait_for_create_slot(work, stack, is_retry=is_retry))
        await first_completed(entering, work.cancel_requested.wait())
        if not work.cancel_requested.is_set():
            entering.result()
        yield not work.cancel_requested.is_set()


async def _wait_for_create_slot(work: Work, stack: AsyncExitStack, *, is_retry: bool) -> None:
    """One job at a time waits for a create, by the order of the queue; who was throttled had its turn already."""
    turn = None if is_retry else work.services.queues.slot_for_create(work.job)
    try:
        if turn is not None:
            await wait_for_slot(work, turn)
        await stack.enter_async_context(work.backend.slot_for_create(is_retry=is_retry))
    finally:
        if turn is not None:
            turn.leave()


async def _create(work: Work, record: PredictionRecord) -> _CreateOutcome:
    """One create."""
    try:
        backend_id = await work.backend.submit(
            work.model,
            record.inputs,
            job=work.job.id,
            cancel_after_seconds=work.model.max_seconds + COLD_START_SECONDS,
        )
    except BackendBusy as error:
        log.info("job.throttled", extra={"job": work.job.id, "wait_seconds": error.retry_after_seconds})
        return _CreateOutcome.NOTHING
    except SubmitUnclear:
        log.warning("job.submit_unclear", extra={"job": work.job.id})
        return _CreateOutcome.UNCLEAR
    try:
        await _claim(work, record, backend_id)
    except AlreadyClaimed:
        return await _abandon_stray_run(work, record, backend_id)
    return _CreateOutcome.CLAIMED


async def _abandon_stray_run(work: Work, record: PredictionRecord, backend_id: str) -> _CreateOutcome:
    """Our run is not ours to have: a notice gave us an earlier one meanwhile, or an equal ask adopted this one."""
    async with work.services.database.read() as tx:
        known = await tx.predictions.get(record.id)
    log.warning("job.stray_run", extra={"job": work.job.id, "prediction": backend_id})
    if known is not None and known.backend_id:  # one is enough; an adopted one belongs to somebody else
        with contextlib.suppress(BackendError):  # `Cancel-After` ends it in any case
            await work.backend.cancel(backend_id)
    return _CreateOutcome.CLAIMED if await _adopt(work, record) else _CreateOutcome.UNCLEAR


async def _count_another_create(work: Work, record: PredictionRecord) -> None:
    """Before a create is sent again. Raises when it must not be: too late to know, or too often already."""
    sent_at = record.submitted_at or record.created_at
    if work.services.clock.now() - sent_at > INPUT_RETENTION:
        raise PredictionGone(
            "I was away for too long to know whether this ran. Please ask again; you were not charged."
        )
    if work.job.attempts + 1 >= MAX_CREATES:
        raise BackendDown("The model's service breaks off every time I ask. Please try again later.")
    async with work.services.database.write(is_urgent=True) as tx:
        moved = await work.move(tx, JobState.SUBMITTING, attempts=work.job.attempts + 1)
    work.job = moved


async def _adopt(work: Work, record: PredictionRecord) -> bool:
    """Take the run that a notice brought, or one with equal inputs that nobody has: those are interchangeable."""
    async with work.services.database.read() as tx:
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


async def _find(work: Work, record: PredictionRecord) -> list[RunSnapshot]:
    """What a create may have made. Asked again while the backend is away: a paid run must not be given up."""
    sent_at = record.submitted_at or record.created_at
    for wait in itertools.chain(BACKEND_RETRY_SECONDS, itertools.repeat(BACKEND_RETRY_SECONDS[-1])):
        try:
            return await work.backend.find(work.model, record.inputs, created_after=sent_at - CLOCK_SLACK)
        except (BackendDown, BackendBusy):
            if work.services.clock.now() - sent_at > INPUT_RETENTION:
                raise
            await work.services.clock.sleep(wait)
    raise AssertionError("the chain of waits has no end")


async def _claim(work: Work, record: PredictionRecord, backend_id: str) -> None:
    """Store the backend's id; the unique index decides between claimants."""
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.bind_backend_id(record.id, backend_id)
        moved = await work.move(tx, JobState.RUNNING)
    work.job, work.record = moved, replace(record, backend_id=backend_id)


async def _pause(work: Work, until: datetime | None, at_most: float = 60.0) -> None:
    """Wait for a moment, or for a notice, or for somebody to stop the job; never long, should the clock be set back."""
    seconds = min((until - work.services.clock.now()).total_seconds(), at_most) if until is not None else 0
    if seconds > 0:
        await first_completed(
            work.services.clock.sleep(seconds), work.run_assigned.wait(), work.cancel_requested.wait()
        )
