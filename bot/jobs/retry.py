"""Retries a run failed by high demand, running → submitting: once per job, after the first run has ended.

The hold stays. The owner pays for the first run.
"""

import logging
from datetime import timedelta

from bot.core.backend import PredictionState, RunSnapshot
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.replies import Progress, Stage
from bot.jobs.completion import compute_run_cost, count_prediction
from bot.jobs.work import Work

log = logging.getLogger(__name__)

RETRY_DELAY = timedelta(seconds=5)


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
        await work.services.credits.ledger.record_lost_run(tx, work.job.id, first.id, real_cost, now)
        await tx.predictions.add(second)
        moved = await work.move(tx, JobState.SUBMITTING, prediction=second.id, run_after=now + RETRY_DELAY)
    count_prediction(first.backend, snapshot.state, real_cost)
    log.warning("job.tried_again", extra={"job": work.job.id, "error": snapshot.error})
    work.job, work.record = moved, second
    work.start_over()
    work.editor.show(work.services.presenter.render_progress(work.job, work.model, Progress(Stage.QUEUED)))
