"""Completes jobs, running → finished, failed or cancelled: keeps the outputs and closes the hold in one transaction.

A run failed by high demand is retried once per job, running → submitting, after the first run has ended: the hold
stays, and the owner pays for the first run.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot.conversations.tools import CALL_BEYOND_LAST, CALL_REFUSED, hide_call, split_call
from bot.core.backend import LostRuns, PredictionState, RunSnapshot
from bot.core.errors import (
    BackendDown,
    BackendError,
    EaselError,
    ModelFailed,
    OutputGone,
    OutputTooLarge,
    PredictionGone,
    RunLost,
    Unavailable,
    new_reference,
)
from bot.core.ids import new_id, new_ordered_id
from bot.core.invocations import Turn, TurnRole
from bot.core.jobs import JobState, Output, PredictionRecord
from bot.core.limits import MAX_ANSWER_CHARACTERS, MAX_OUTPUT_FILES
from bot.core.models import OutputKind, Task
from bot.core.replies import Progress, Stage
from bot.core.text import mend_text, sanitize_text
from bot.core.transcripts import LONG_TRANSCRIPT_SECONDS, format_srt
from bot.credits.pricing import BillableOutput, compute_cost_micros, estimate_cost
from bot.jobs.presenting import Result, format_alt_text
from bot.jobs.work import Work
from bot.media.media_store import KeptFile
from bot.storage.database import Transaction
from bot.streaming.answers import extract_answer, is_blank
from bot.telemetry import metrics

log = logging.getLogger(__name__)

RETRY_DELAY = timedelta(seconds=5)


FETCH_RETRY_SECONDS = (0.5, 2.0, 5.0, 15.0, 60.0)
"""Waits between attempts to fetch an output while the network is down."""

# States of prediction rows besides the backend's own (`PredictionState`).
LOST = "lost"
NEVER_SENT = "never_sent"

_MAX_QUOTED_CHARACTERS = 300
_NOTHING = {
    OutputKind.PICTURES: "no picture",
    OutputKind.AUDIO: "no sound",
    OutputKind.VIDEO: "no video",
    OutputKind.FILES: "no file",
}

_GONE = "What was made could not be fetched any more. You were not charged."


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run: the next state of the job, the outputs to keep, and the money."""

    state: JobState
    outputs: Sequence[Output]
    real_cost_micros: int
    """The owner's cost at the backend, also when the user pays nothing."""
    is_charged: bool
    error: str = ""
    answer: str = ""
    """The answer with a call of a tool, as the model wrote both; empty if the outputs hold the whole answer."""


async def complete(work: Work, snapshot: RunSnapshot) -> None:
    """Keep the outputs of an ended run, close the hold, and move the job to the next state."""
    outcome = await _determine_outcome(work, snapshot)
    await _record_outcome(work, outcome, snapshot.state, snapshot.metrics.predict_seconds)


async def fail(work: Work, error: EaselError) -> None:
    """Fail a job with the error's text for the user, and release the hold; `RunLost` ends as `lost_runs` says."""
    text, is_charged = str(error), False
    if isinstance(error, RunLost):
        is_charged = work.backend.config.lost_runs is LostRuns.CHARGE and work.job.max_micros > 0
        text += " The run may have cost my owner money: you were charged." if is_charged else " You were not charged."
    # A lost run may go on at the backend and be billed: the shared budgets count the whole amount held for the run.
    # The hold may cover dearer entries of the model's fallbacks too, or the chat that a description is for.
    covers_more = work.model.fallbacks or work.job.options.get("asks")
    most = estimate_cost(work.model, work.job.inputs).max_micros if covers_more else work.job.max_micros
    real_cost = most if is_charged or work.job.state is JobState.RUNNING else 0
    outputs = _build_unfinished_outputs(work, work.text)
    outcome = Outcome(JobState.FAILED, outputs, real_cost, is_charged=is_charged, error=text)
    await _record_outcome(work, outcome, LOST, None)


async def finish_free(work: Work) -> None:
    """Finish a reusing job: the reused result is paid already."""
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        paid = await work.services.credits.ledger.settle(tx, work.job.id, 0, now)
        moved = await work.post_move(tx, JobState.FINISHED, cost_micros=paid)
    work.job = moved()


async def cancel_unsubmitted(work: Work) -> None:
    """Cancel a job before its create was sent: the backend bills nothing."""
    await _record_outcome(work, Outcome(JobState.CANCELLED, (), 0, is_charged=False), NEVER_SENT, None)


async def _determine_outcome(work: Work, snapshot: RunSnapshot) -> Outcome:
    if snapshot.state is PredictionState.SUCCEEDED:
        try:
            return await _build_success(work, snapshot)
        except OutputTooLarge as error:
            # Free, a request for sizes that the bot refuses would cost the owner money as often as a person likes.
            return Outcome(JobState.FAILED, (), compute_run_cost(work, snapshot), is_charged=True, error=str(error))
        except (BackendError, OutputGone) as error:
            return _build_failure(work, snapshot, error)
        except Unavailable:
            raise
        except Exception:  # a full disk, a bug: the run is over and is billed all the same
            reference = new_reference()
            log.exception("job.outputs_broke", extra={"job": work.job.id, "reference": reference})
            apology = "Something broke on our side while keeping the result. You were not charged."
            return _build_failure(work, snapshot, EaselError(f"{apology} Tell the owner this reference: {reference}"))
    if snapshot.state in (PredictionState.CANCELED, PredictionState.ABORTED):
        return _build_cancellation(work, snapshot)
    return _build_failure(work, snapshot, work.backend.explain(snapshot))


async def _build_success(work: Work, snapshot: RunSnapshot) -> Outcome:
    if snapshot.is_data_removed and not (snapshot.files or snapshot.text):
        raise PredictionGone("I was away for over an hour and what was made is gone. You were not charged.")
    cost_micros = compute_run_cost(work, snapshot)
    if work.model.output.is_text:
        # What people saw in the stream stays, even if the backend's last word is empty.
        outputs = _build_text_outputs(work, snapshot.text) or _build_text_outputs(work, work.text)
        answer, outputs = _take_call(work, outputs)
        if not outputs:
            raise ModelFailed(_describe_missing_text(work.model.task, _get_longest_text(work, snapshot)))
        outputs += await _keep_subtitles(work, snapshot)
        return Outcome(JobState.FINISHED, outputs, cost_micros, is_charged=True, answer=answer)
    if not snapshot.files:
        raise ModelFailed(_describe_missing_files(work.model.output, snapshot.text))
    return Outcome(JobState.FINISHED, await _keep_files(work, snapshot.files), cost_micros, is_charged=True)


async def _keep_files(work: Work, sources: Sequence[str | bytes]) -> list[Output]:
    """Keep the files of a run. The reply says what is left out: files of another kind, and files beyond the bound."""
    # Replicate deletes output files after an hour: keep our copies before the job is delivered.
    settings = await work.services.get_settings(work.job.channel.platform, work.job.channel.workspace)
    found = await asyncio.gather(
        *(_fetch(work, source, keeps_recipe=settings.recipes) for source in sources[:MAX_OUTPUT_FILES]),
        return_exceptions=True,
    )
    kept = [file for file in found if isinstance(file, KeptFile)]
    errors = [error for error in found if isinstance(error, BaseException)]
    others = [error for error in errors if not isinstance(error, ModelFailed)]
    if others or not kept:
        raise (others or errors)[0]
    outputs = _build_file_outputs(work, kept)
    left_out = len(sources) - len(kept)
    if left_out:
        files = "One more file was" if left_out == 1 else f"{left_out} more files were"
        reason = "of another kind" if errors else f"more than the {MAX_OUTPUT_FILES} that I keep"
        outputs.append(Output(work.job.prediction, len(kept) + 1, text=f"{files} left out: {reason}."))
    return outputs


def _describe_missing_text(task: Task, text: str) -> str:
    if task is Task.TRANSCRIBE:
        return "The model heard no words in this recording. You were not charged."
    what = "no answer" if is_blank(text) else "only thoughts and no answer"
    return f"The model gave {what}. You were not charged."


def _describe_missing_files(output: OutputKind, text: str) -> str:
    wanted = _NOTHING[output]
    words = " ".join(sanitize_text(extract_answer(text)).split())
    if is_blank(words):
        return f"The model gave {wanted}. You were not charged."
    if len(words) > _MAX_QUOTED_CHARACTERS:
        words = words[:_MAX_QUOTED_CHARACTERS].rstrip() + "…"
    return f"The model gave words and {wanted}: “{words}” You were not charged."


def _build_cancellation(work: Work, snapshot: RunSnapshot) -> Outcome:
    """Return the outcome of a cancelled run, or of a run out of time."""
    outputs = _build_unfinished_outputs(work, _get_longest_text(work, snapshot))
    # The metered time is charged: reading most of an answer and pressing Stop must not be free.
    cost_micros = compute_run_cost(work, snapshot)
    if work.timeout_message:
        return Outcome(JobState.FAILED, outputs, cost_micros, is_charged=True, error=work.timeout_message)
    error = "" if work.job.cancel_by or work.cancel_requested.is_set() else "The model's service stopped it."
    return Outcome(JobState.CANCELLED, outputs, cost_micros, is_charged=True, error=error)


def _build_failure(work: Work, snapshot: RunSnapshot, error: EaselError) -> Outcome:
    """Return the outcome of a run that the model or backend failed: free for the user, paid by the owner."""
    outputs = _build_unfinished_outputs(work, _get_longest_text(work, snapshot))
    text = _GONE if isinstance(error, OutputGone) else str(error)
    return Outcome(JobState.FAILED, outputs, compute_run_cost(work, snapshot), is_charged=False, error=text)


def _get_longest_text(work: Work, snapshot: RunSnapshot) -> str:
    # A stream may be ahead of the snapshot of a cancelled run, and behind the snapshot after a reconnect.
    return mend_text(max(work.text, snapshot.text, key=len))


def compute_run_cost(work: Work, snapshot: RunSnapshot) -> int:
    """Return the owner's cost of a run in micros, from the run's metering or else from its outputs."""
    has_succeeded = snapshot.state is PredictionState.SUCCEEDED
    started_at, completed_at, text = snapshot.started_at, snapshot.completed_at, _get_longest_text(work, snapshot)
    output = BillableOutput(
        files=len(snapshot.files),
        text=text,
        has_started=has_succeeded or bool(started_at or text or snapshot.metrics.predict_seconds),
        has_succeeded=has_succeeded,
        seconds=(completed_at - started_at).total_seconds() if started_at and completed_at else None,
    )
    return compute_cost_micros(work.model, work.job.inputs, snapshot.metrics, output)


async def _fetch(work: Work, source: str | bytes, *, keeps_recipe: bool) -> KeptFile:
    take = partial(
        work.services.media.take_output,
        source,
        work.model.output,
        origin=work.backend.config.origin,
        keeps_recipe=keeps_recipe,
    )
    for wait in FETCH_RETRY_SECONDS:
        try:
            return await take()
        except BackendDown:
            log.warning("job.output_fetch_failed", extra={"job": work.job.id, "wait_seconds": wait})
            await work.services.clock.sleep(wait)
    return await take()


def _build_text_outputs(work: Work, text: str) -> list[Output]:
    """Return the answer in a model's text, nothing for a text without an answer."""
    answer = extract_answer(text)
    if left_out := max(0, len(answer) - MAX_ANSWER_CHARACTERS):
        remark = f"{left_out:,} more characters were left out: I keep at most {MAX_ANSWER_CHARACTERS:,}."
        answer = f"{answer[:MAX_ANSWER_CHARACTERS]}…\n\n{remark}"
    return [] if is_blank(answer) else [Output(work.job.prediction, 1, text=answer)]


def _build_unfinished_outputs(work: Work, text: str) -> list[Output]:
    """Return the answer in the text of a run that broke off, without a call: the tool does not run."""
    outputs = _build_text_outputs(work, text)
    if work.job.tools is None:
        return outputs
    shown = [replace(output, text=hide_call(output.text)) for output in outputs]
    return [output for output in shown if not is_blank(output.text)]


def _take_call(work: Work, outputs: list[Output]) -> tuple[str, list[Output]]:
    """Return the answer with the call of a tool, and the outputs with the call in words for people.

    The answer is empty where the model called no tool, or none that may run.
    """
    if work.job.tools is None or not outputs:
        return "", outputs
    words, call = split_call(outputs[0].text, work.job.tools)
    if call is not None and not work.job.tools:
        return "", [replace(outputs[0], text=words or CALL_BEYOND_LAST)]
    shown = "\n\n".join(part for part in (words, call.describe() if call else "") if part)
    if call is not None:
        # A call that cannot run is told to the model alone, which answers once more.
        outputs = [replace(outputs[0], text=shown or CALL_REFUSED)]
        return f"{words}\n{call.format()}".strip(), outputs
    return "", [] if is_blank(shown) else [replace(outputs[0], text=shown)]


async def _keep_subtitles(work: Work, snapshot: RunSnapshot) -> list[Output]:
    """Return the file of subtitles of a long transcript; nothing for a short transcript or without times."""
    passages = snapshot.passages
    if len(passages) < 2 or passages[-1].end_seconds < LONG_TRANSCRIPT_SECONDS:
        return []
    file = await work.services.media.take_output(format_srt(passages).encode(), OutputKind.FILES)
    alt = f"Subtitles by {work.model.title}"
    return [Output(work.job.prediction, 2, sha256=file.sha256, mime=file.mime, size_bytes=file.size_bytes, alt=alt)]


def _build_file_outputs(work: Work, kept: Sequence[KeptFile]) -> list[Output]:
    options = dict(work.job.options)
    return [
        Output(
            prediction=work.job.prediction,
            n=n,
            sha256=file.sha256,
            mime=file.mime,
            size_bytes=file.size_bytes,
            width=file.width,
            height=file.height,
            duration_seconds=file.duration_seconds,
            alt=format_alt_text(options, work.model, n, len(kept)),
            is_flagged=work.model.is_adult,
        )
        for n, file in enumerate(kept, 1)
    ]


async def _record_outcome(work: Work, outcome: Outcome, prediction_state: str, seconds: float | None) -> None:
    """Store money, outputs, the conversation's turn, the prediction and the job's state in one transaction.

    `seconds` is the running time of the prediction. Raise `JobLost`, and roll back, if another worker has the job.
    """
    now = work.services.clock.now()
    is_closed = False
    async with work.services.database.write(is_urgent=True) as tx:
        paid = await _close_hold(tx, work, outcome, now)
        if work.job.prediction and not work.job.reuses:  # the job that paid for a reused prediction closes the row
            await tx.outputs.add(outcome.outputs)
            await tx.predictions.close(work.job.prediction, prediction_state, seconds, outcome.real_cost_micros)
            is_closed = True
        if outcome.state is JobState.FINISHED and seconds is not None:
            await work.services.usual_times.learn(tx, work.job.model, seconds)
        if (turn := _build_answer_turn(work, outcome, now)) is not None:
            await tx.conversations.add_turn(turn)
        moved = await work.post_move(tx, outcome.state, cost_micros=paid, error=outcome.error)
    work.job, work.result = moved(), Result(outcome.outputs, seconds)
    if is_closed:
        count_prediction(work.job.backend, prediction_state, outcome.real_cost_micros)


def count_prediction(backend: str, state: str, cost_micros: int) -> None:
    """Count an ended prediction in the metrics. Call after the commit: a rolled back transaction must not count."""
    metrics.predictions.labels(backend=backend, outcome=str(state)).inc()
    metrics.spent_micros.labels(backend=backend).inc(cost_micros)


async def _close_hold(tx: Transaction, work: Work, outcome: Outcome, now: datetime) -> int:
    """Settle or release the hold; return the user's price in micros."""
    ledger = work.services.credits.ledger
    if outcome.is_charged:
        return await ledger.settle(tx, work.job.id, outcome.real_cost_micros, now)
    await ledger.release(tx, work.job.id, work.job.user, outcome.real_cost_micros, now)
    return 0


def _build_answer_turn(work: Work, outcome: Outcome, now: datetime) -> Turn | None:
    """Return a chat job's text as a turn of its conversation, also the beginning of a stopped answer."""
    text = outcome.answer or "".join(output.text for output in outcome.outputs)
    if not text or not work.job.conversation or work.model.task is not Task.CHAT:
        return None
    answers = str(work.job.options.get("answers") or "")
    return Turn(new_ordered_id(), work.job.conversation, TurnRole.ASSISTANT, text, now, answers, work.job.id)


async def finish_reusing_job(work: Work) -> None:
    """End a reusing job, queued → finished or cancelled: the outputs of the prediction exist already."""
    if work.cancel_requested.is_set():
        await cancel_unsubmitted(work)
    else:
        await finish_free(work)


def should_retry(work: Work, snapshot: RunSnapshot) -> bool:
    """Return whether a failed run gets a second run: transient failure, first retry, and no cancel."""
    # `run_after` marks the retry in the row: a restart must not allow a third run.
    if work.job.run_after is not None or work.cancel_requested.is_set() or work.timeout_message:
        return False
    return snapshot.state is PredictionState.FAILED and work.backend.is_retryable(snapshot)


async def start_second_run(work: Work, first: PredictionRecord, snapshot: RunSnapshot) -> None:
    """Close the first run and store the second; `submitting.resume_submission` sends runs without `submitted_at`."""
    now = work.services.clock.now()
    second = PredictionRecord(
        id=new_id(),
        backend=first.backend,
        model=first.model,
        fingerprint=first.fingerprint,
        inputs=first.inputs,
        created_at=now,
    )
    real_cost = compute_run_cost(work, snapshot)
    async with work.services.database.write(is_urgent=True) as tx:
        await tx.predictions.close(first.id, snapshot.state, snapshot.metrics.predict_seconds, real_cost)
        ledger = work.services.credits.ledger
        await ledger.record_lost_run(tx, work.job.id, work.job.user, first.id, real_cost, now)
        await tx.predictions.add(second)
        moved = await work.move(tx, JobState.SUBMITTING, prediction=second.id, run_after=now + RETRY_DELAY)
    count_prediction(first.backend, snapshot.state, real_cost)
    log.warning("job.tried_again", extra={"job": work.job.id, "error": snapshot.error})
    work.job, work.record = moved, second
    work.start_over()
    work.editor.show(work.services.presenter.render_progress(work.job, work.model, Progress(Stage.QUEUED)))
