"""Submits jobs, queued → submitting → running: one create for each job, never two.

Replicate has no idempotency key. So `submitting` is committed before the create is sent. If the create breaks half-way
or the process dies, the bot waits until the backend must have listed the run, and adopts a run with equal inputs and
without another job. Only without such a run the create is sent again.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.core.backend import InputFile, Inputs, InputValue, RunSnapshot
from bot.core.background_tasks import first_completed
from bot.core.errors import (
    AlreadyClaimed,
    BackendBusy,
    BackendDown,
    BackendError,
    BadFile,
    PredictionGone,
    RunLost,
    SubmitUnclear,
)
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import JSON, fingerprint
from bot.jobs.completion import cancel_unsubmitted
from bot.jobs.messages import wait_for_slot
from bot.jobs.watching import BACKEND_RETRY_SECONDS
from bot.jobs.work import Work
from bot.media.media import Media

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""A backend lists a run at most this long after the create; measured, see docs/reliability.md."""

# Replicate deletes inputs after an hour: later no run can be matched, so no create may be sent again.
INPUT_RETENTION = timedelta(minutes=55)

# The backend's clock may be this far behind ours. Without slack a run of ours would look older than the create, would
# not be adopted, and the create would be sent, and paid, twice.
CLOCK_SLACK = timedelta(seconds=30)

COLD_START_SECONDS = 600
"""A cold model may take this long to start before `Cancel-After` ends the run."""

MAX_CREATES = 3


class _CreateOutcome(Enum):
    """The outcome of one create."""

    CLAIMED = auto()
    NOTHING = auto()
    """Surely no run: throttled, or not sent yet."""
    UNCLEAR = auto()
    """The create broke half-way and may have made a run."""


async def submit(work: Work) -> None:
    """Wait for the create's slot, hand files over, store the inputs as sent, move to `submitting`, send the create."""
    async with _acquire_create_slot(work) as is_wanted:
        if is_wanted:
            record = await _save_prediction(work)
            outcome = await _create(work, record)
    if is_wanted:
        await _create_until_claimed(work, record, outcome, GRACE_SECONDS)
    else:
        await cancel_unsubmitted(work)


async def resume_submission(work: Work, grace_seconds: float = GRACE_SECONDS) -> None:
    """Continue a job in `submitting`; the create may have been sent: adopt the run, or send the create."""
    async with work.services.database.read() as tx:
        record = await tx.predictions.get(work.job.prediction)
    if record is None:
        raise PredictionGone("I lost track of this one while I was away. Please ask again; you were not charged.")
    outcome = _CreateOutcome.UNCLEAR
    if record.submitted_at is None:  # a second run (`completion.start_second_run`): no create was sent
        await _pause(work, work.job.run_after)
        record, outcome = await _mark_submitted(work, record), _CreateOutcome.NOTHING
    elif not record.backend_id and work.backend.finds_runs:
        await _pause(work, record.submitted_at + timedelta(seconds=grace_seconds), at_most=grace_seconds)
    if outcome is _CreateOutcome.UNCLEAR:
        if await _adopt(work, record):
            return
        await _count_another_create(work, record)
    await _create_until_claimed(work, record, _CreateOutcome.NOTHING, grace_seconds)


def encode_inputs(inputs: Inputs) -> dict[str, JSON]:
    """Return inputs as rows store them.

    A file becomes `{"sha256", "mime", "size", "width", "height", "seconds"}`, a tuple of files a list of such objects.
    """
    return {name: _encode_input(value) for name, value in inputs.items()}


def _encode_input(value: InputValue) -> JSON:
    if isinstance(value, tuple):
        return [_encode_input(file) for file in value]
    return _encode_file(value) if isinstance(value, InputFile) else value


def _encode_file(file: InputFile) -> dict[str, JSON]:
    # Prices count pixels and seconds of given files, also after a restart.
    return {
        "sha256": file.sha256,
        "mime": file.mime,
        "size": file.size_bytes,
        "width": file.width_pixels,
        "height": file.height_pixels,
        **({"seconds": file.duration_seconds} if file.duration_seconds else {}),
    }


def decode_inputs(inputs: Mapping[str, JSON], media: Media) -> dict[str, InputValue]:
    """Return stored inputs with the paths of the files. Raise `BadFile` if a file is not kept any more."""
    return {name: _decode_input(value, media) for name, value in inputs.items()}


def _decode_input(value: JSON, media: Media) -> InputValue:
    if isinstance(value, list) and value and all(map(_is_file, value)):
        return tuple(_decode_file(file, media) for file in value)
    return _decode_file(value, media) if _is_file(value) else value


def _is_file(value: JSON) -> bool:
    return isinstance(value, dict) and {"sha256", "mime", "size"} <= value.keys()


def _decode_file(value: JSON, media: Media) -> InputFile:
    assert isinstance(value, dict)  # noqa: S101 - checked by _is_file
    path = media.find_path(str(value["sha256"]))
    if path is None:
        raise BadFile("The file this starts from is not kept any more. Please give it again.")
    sides = int(str(value.get("width", 0))), int(str(value.get("height", 0)))
    seconds = float(str(value.get("seconds", 0)))
    return InputFile(str(value["sha256"]), str(value["mime"]), int(str(value["size"])), str(path), *sides, seconds)


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
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.add(record)
        moved = await work.post_move(tx, JobState.SUBMITTING, prediction=record.id)
    work.job, work.record = moved(), record
    return record


async def _mark_submitted(work: Work, record: PredictionRecord) -> PredictionRecord:
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.mark_submitted(record.id, now)
    return replace(record, submitted_at=now)


async def _create_until_claimed(
    work: Work, record: PredictionRecord, outcome: _CreateOutcome, grace_seconds: float
) -> None:
    """Retry creates known not to have run, search for unclear creates, until claimed or cancelled."""
    while outcome is not _CreateOutcome.CLAIMED:
        if outcome is _CreateOutcome.UNCLEAR:
            if work.backend.finds_runs:
                await first_completed(work.services.clock.sleep(grace_seconds), work.run_assigned.wait())
            if await _adopt(work, record):
                return
            await _count_another_create(work, record)
        async with _acquire_create_slot(work, is_retry=True) as is_wanted:
            if is_wanted:
                outcome = await _create(work, record)
        if not is_wanted:
            await cancel_unsubmitted(work)
            return


@asynccontextmanager
async def _acquire_create_slot(work: Work, *, is_retry: bool = False) -> AsyncIterator[bool]:
    """Hold the right to send one create; yield false instead as soon as the job is cancelled."""
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(_wait_for_create_slot(work, stack, is_retry=is_retry))
        await first_completed(entering, work.cancel_requested.wait())
        if not work.cancel_requested.is_set():
            entering.result()  # raises the backend's error, if any
        yield not work.cancel_requested.is_set()


async def _wait_for_create_slot(work: Work, stack: AsyncExitStack, *, is_retry: bool) -> None:
    # One job at a time waits at the backend. A throttled create had a place in the queue already.
    slot = None if is_retry else work.services.queues.slot_for_create(work.job)
    try:
        if slot is not None:
            await wait_for_slot(work, slot)
        await stack.enter_async_context(work.backend.slot_for_create(is_retry=is_retry))
    finally:
        if slot is not None:
            slot.leave()


async def _create(work: Work, record: PredictionRecord) -> _CreateOutcome:
    """Send one create and claim the run."""
    try:
        backend_id = await work.backend.submit(
            work.model,
            record.inputs,
            job=work.job.id,
            run=record.id,
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
    """Handle a conflict of backend ids: a webhook bound the job to an earlier run, or another job adopted this run."""
    async with work.services.database.read() as tx:
        latest = await tx.predictions.get(record.id)
    log.warning("job.stray_run", extra={"job": work.job.id, "prediction": backend_id})
    # With a run bound already, the new run is surplus. Without, the new run belongs to the other job: leave it running.
    if latest is not None and latest.backend_id:
        with contextlib.suppress(BackendError):  # `Cancel-After` ends the run in any case
            await work.backend.cancel(backend_id)
    return _CreateOutcome.CLAIMED if await _adopt(work, record) else _CreateOutcome.UNCLEAR


async def _count_another_create(work: Work, record: PredictionRecord) -> None:
    """Count a create about to be repeated.

    Raise a `BackendError` if the backend cannot tell about the create before, or too late to match runs, or too often.
    """
    if not work.backend.finds_runs:
        raise RunLost("The connection to the model's server broke off, and the server cannot tell what became of this.")
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
    """Claim the run bound by a webhook, or an unclaimed run with equal inputs; return whether there is such a run."""
    async with work.services.database.read() as tx:
        latest = await tx.predictions.get(record.id)
    if latest is not None and latest.backend_id:
        await _claim(work, record, latest.backend_id)
        return True
    # Runs with equal inputs are interchangeable: if two jobs sent equal creates, either may have either run.
    for snapshot in await _find_runs(work, record):
        try:
            await _claim(work, record, snapshot.backend_id)
        except AlreadyClaimed:
            continue
        log.info("job.adopted", extra={"job": work.job.id, "prediction": snapshot.backend_id})
        return True
    return False


async def _find_runs(work: Work, record: PredictionRecord) -> list[RunSnapshot]:
    """Return the possible runs of a create."""
    sent_at = record.submitted_at or record.created_at
    for wait in itertools.chain(BACKEND_RETRY_SECONDS, itertools.repeat(BACKEND_RETRY_SECONDS[-1])):
        try:
            return await work.backend.find(
                work.model, record.inputs, run=record.id, created_after=sent_at - CLOCK_SLACK
            )
        except (BackendDown, BackendBusy):
            if work.services.clock.now() - sent_at > INPUT_RETENTION:
                raise
            await work.services.clock.sleep(wait)  # retry: giving up would forget a paid run
    raise AssertionError("the chain of waits has no end")


async def _claim(work: Work, record: PredictionRecord, backend_id: str) -> None:
    """Store the backend's id and move to `running`. Raise `AlreadyClaimed` if another prediction has the id."""
    # The unique index on `backend_id` decides between jobs, also across processes.
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.bind_backend_id(record.id, backend_id)
        moved = await work.post_move(tx, JobState.RUNNING)
    work.job, work.record = moved(), replace(record, backend_id=backend_id)


async def _pause(work: Work, until: datetime | None, at_most: float = 60.0) -> None:
    """Wait until a time, a webhook for the job, or a cancel."""
    # `at_most` seconds: a clock set back must not stall the job for hours.
    seconds = min((until - work.services.clock.now()).total_seconds(), at_most) if until is not None else 0
    if seconds > 0:
        await first_completed(
            work.services.clock.sleep(seconds), work.run_assigned.wait(), work.cancel_requested.wait()
        )
