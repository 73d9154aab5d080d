"""running → finished, failed or cancelled: outputs are kept, and in one transaction with them the money is closed."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.backend import PredictionState, RunSnapshot
from bot.core.errors import (
    BackendDown,
    BackendError,
    EaselError,
    ModelFailed,
    OutputGone,
    PredictionGone,
    Unavailable,
    new_reference,
)
from bot.core.ids import new_id
from bot.core.invocations import Turn, TurnRole
from bot.core.jobs import JobState, Output
from bot.core.models import OutputKind, Task
from bot.credits.pricing import BillableOutput, compute_cost_micros
from bot.jobs.presenting import Result, format_alt_text
from bot.jobs.work import Work
from bot.media.media_store import StoredPicture
from bot.storage.database import Transaction
from bot.telemetry import metrics

log = logging.getLogger(__name__)

FETCH_RETRY_SECONDS = (0.5, 2.0, 5.0, 15.0, 60.0)
"""Waits between attempts to fetch an output when the network is away."""

_GONE = "What was made could not be fetched any more. You were not charged."


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: where the job goes, what is kept, and what it cost the owner, in micros."""

    state: JobState
    outputs: Sequence[Output]
    real_cost_micros: int
    is_charged: bool
    error: str = ""


async def complete(work: Work, snapshot: RunSnapshot) -> None:
    """Keep what came out and close the money, once."""
    ending = await _determine_outcome(work, snapshot)
    await _write(work, ending, snapshot.state, snapshot.metrics.predict_seconds)


async def fail(work: Work, error: EaselError) -> None:
    """The job cannot go on, and nothing was made that we know of: the money goes back, the person is told why."""
    # A run we lost sight of may go on and be billed: the owner's budget counts all that was held for it.
    real_cost = work.job.max_micros if work.job.state is JobState.RUNNING else 0
    outputs = _text_outputs(work, work.text)
    await _write(work, Outcome(JobState.FAILED, outputs, real_cost, is_charged=False, error=str(error)), "lost", None)


async def finish_free(work: Work) -> None:
    """Finish a job whose result another job made and paid for."""
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        paid = await work.services.credits.ledger.settle(tx, work.job.id, 0, now)
        moved = await work.move(tx, JobState.FINISHED, cost_micros=paid)
    work.job = moved


async def cancel_unsubmitted(work: Work) -> None:
    """Cancelled before anything was sent: nothing was spent."""
    await _write(work, Outcome(JobState.CANCELLED, (), 0, is_charged=False), "never_sent", None)


async def _determine_outcome(work: Work, snapshot: RunSnapshot) -> Outcome:
    if snapshot.state is PredictionState.SUCCEEDED:
        try:
            return await _build_success(work, snapshot)
        except (BackendError, OutputGone) as error:
            return _build_failure(work, snapshot, error)
        except Unavailable:
            raise
        except Exception:  # a full disk, a bug: the run is over and is billed all the same
            reference = new_reference()
            log.exception("job.outputs_broke", extra={"job": work.job.id, "reference": reference})
            told = "Something broke on our side while keeping the result. You were not charged."
            return _build_failure(work, snapshot, EaselError(f"{told} Tell the owner this reference: {reference}"))
    if snapshot.state in (PredictionState.CANCELED, PredictionState.ABORTED):
        return _build_stopped(work, snapshot)
    return _build_failure(work, snapshot, work.backend.explain(snapshot))


async def _build_success(work: Work, snapshot: RunSnapshot) -> Outcome:
    if snapshot.is_data_removed and not (snapshot.files or snapshot.text):
        raise PredictionGone("I was away for over an hour and what was made is gone. You were not charged.")
    if work.model.output is not OutputKind.PICTURES:
        return Outcome(
            JobState.FINISHED, _text_outputs(work, snapshot.text), compute_run_cost(work, snapshot), is_charged=True
        )
    if not snapshot.files:
        raise ModelFailed("The model gave no picture. You were not charged.")
    kept = await asyncio.gather(*(_fetch(work, url) for url in snapshot.files))
    return Outcome(JobState.FINISHED, _picture_outputs(work, kept), compute_run_cost(work, snapshot), is_charged=True)


def _build_stopped(work: Work, snapshot: RunSnapshot) -> Outcome:
    """Cancelled, or out of time: what was metered is paid. Reading the answer and pressing Stop is not free."""
    outputs = _text_outputs(work, _longest(work, snapshot))
    if work.timeout_message:
        return Outcome(
            JobState.FAILED, outputs, compute_run_cost(work, snapshot), is_charged=True, error=work.timeout_message
        )
    error = "" if work.job.cancel_by or work.cancel_requested.is_set() else "The model's service stopped it."
    return Outcome(JobState.CANCELLED, outputs, compute_run_cost(work, snapshot), is_charged=True, error=error)


def _build_failure(work: Work, snapshot: RunSnapshot, error: EaselError) -> Outcome:
    """The model or its service is at fault: the person pays nothing, the owner's budget what it really cost."""
    outputs = _text_outputs(work, _longest(work, snapshot))
    told = _GONE if isinstance(error, OutputGone) else str(error)
    return Outcome(JobState.FAILED, outputs, compute_run_cost(work, snapshot), is_charged=False, error=told)


def _longest(work: Work, snapshot: RunSnapshot) -> str:
    return max(work.text, snapshot.text, key=len)


def compute_run_cost(work: Work, snapshot: RunSnapshot) -> int:
    """What a run cost the owner, in micros: by what was metered, or by what was made."""
    made = BillableOutput(images=len(snapshot.files), text=_longest(work, snapshot))
    return compute_cost_micros(work.model, work.job.inputs, snapshot.metrics, made)


async def _fetch(work: Work, url: str) -> StoredPicture:
    """One output, fetched at once: the backend deletes it after an hour."""
    for wait in FETCH_RETRY_SECONDS:
        try:
            return await work.services.media.take_output(url)
        except BackendDown:
            log.warning("job.output_fetch_failed", extra={"job": work.job.id, "wait_seconds": wait})
            await work.services.clock.sleep(wait)
    return await work.services.media.take_output(url)


def _text_outputs(work: Work, text: str) -> list[Output]:
    return [Output(work.job.prediction, 1, text=text)] if text else []


def _picture_outputs(work: Work, kept: Sequence[StoredPicture]) -> list[Output]:
    options = dict(work.job.options)
    return [
        Output(
            prediction=work.job.prediction,
            n=n,
            sha256=file.sha256,
            mime=file.mime,
            size=file.size_bytes,
            width=file.width,
            height=file.height,
            alt=format_alt_text(options, work.model, n, len(kept)),
            is_flagged=work.model.is_adult,
        )
        for n, file in enumerate(kept, 1)
    ]


async def _write(work: Work, ending: Outcome, state: str, seconds: float | None) -> None:
    """The one transaction: the money, the outputs, the turn, the prediction and the job's state."""
    now = work.services.clock.now()
    is_closed = False
    async with work.services.database.write(is_urgent=True) as tx:
        paid = await _close_money(tx, work, ending, now)
        if work.job.prediction and not work.job.reuses:  # another job's run is closed by that job
            await tx.outputs.add(ending.outputs)
            await tx.predictions.close(work.job.prediction, state, seconds, ending.real_cost_micros)
            is_closed = True
        if ending.state is JobState.FINISHED and seconds is not None:
            await work.services.usual_times.learn(tx, work.job.model, seconds)
        if (turn := _build_answer_turn(work, ending, now)) is not None:
            await tx.conversations.add_turn(turn)
        moved = await work.move(tx, ending.state, cost_micros=paid, error=ending.error)
    work.job, work.result = moved, Result(ending.outputs, seconds)
    if is_closed:
        count_prediction(moved.backend, state, ending.real_cost_micros)


def count_prediction(backend: str, state: str, cost_micros: int) -> None:
    """Count a prediction that ended, after the transaction that closed its row."""
    metrics.predictions.labels(backend=backend, outcome=str(state)).inc()
    metrics.spent_micros.labels(backend=backend).inc(cost_micros)


async def _close_money(tx: Transaction, work: Work, outcome: Outcome, now: datetime) -> int:
    ledger = work.services.credits.ledger
    if outcome.is_charged:
        return await ledger.settle(tx, work.job.id, outcome.real_cost_micros, now)
    await ledger.release(tx, work.job.id, outcome.real_cost_micros, now)
    return 0


def _build_answer_turn(work: Work, outcome: Outcome, now: datetime) -> Turn | None:
    """The answer as a turn of its conversation, also when it was cut."""
    text = "".join(output.text for output in outcome.outputs)
    if not text or not work.job.conversation or work.model.task is not Task.CHAT:
        return None
    answers = str(work.job.options.get("answers") or "")
    return Turn(new_id(), work.job.conversation, TurnRole.ASSISTANT, text, now, answers, work.job.id)
