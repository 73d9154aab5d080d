"""Delivers results, finished → delivered: the placeholder becomes the result.

Editing is idempotent: a crash between the edit and the commit repeats the edit after the restart.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from bot.core.errors import Unavailable
from bot.core.jobs import JobState, Output, PostedMessage
from bot.core.platform import MessageLost
from bot.jobs.presenting import Result
from bot.jobs.work import Work
from bot.telemetry import metrics

log = logging.getLogger(__name__)


async def deliver(work: Work) -> None:
    """Show the final message. An undeliverable result stays with the job, for `/show`."""
    reply = work.services.presenter.render_result(work.job, work.model, await load_result(work))
    try:
        shown = await work.editor.finish(reply)
    except Unavailable:
        raise
    except Exception as error:  # an SDK may raise anything, and the editor has retried several times
        reason = str(error) if isinstance(error, MessageLost) else repr(error)
        log.warning("job.undeliverable", extra={"job": work.job.id, "reason": reason})
        await _record_delivery(work, [], is_delivered=False)
        return
    await _record_delivery(work, shown, is_delivered=True)
    log.info("job.delivered", extra={"job": work.job.id, "state": work.job.state, "micros": work.job.cost_micros})


async def load_result(work: Work) -> Result:
    """Return a job's result, from memory if this process completed the job, else from the rows."""
    if work.result is not None:
        return replace(work.result, is_cut=_is_cut(work, work.result.outputs))
    if not work.job.prediction:
        return Result(())
    async with work.services.database.read() as tx:
        outputs = await tx.outputs.list_outputs(work.job.prediction)
        record = await tx.predictions.get(work.job.prediction)
    return Result(outputs, record.predict_seconds if record else None, _is_cut(work, outputs))


def _is_cut(work: Work, outputs: Sequence[Output]) -> bool:
    """Return whether an answer is incomplete: stopped by the user, or as long as `max_tokens` allowed."""
    if work.job.state is JobState.CANCELLED:
        return bool(outputs)
    max_tokens = work.job.options.get("max_tokens")
    length_bytes = sum(len(output.text.encode()) for output in outputs)
    # Tokens of English have four bytes on average; an answer this long most likely hit the limit.
    return isinstance(max_tokens, int) and length_bytes >= max_tokens * 4


async def _record_delivery(work: Work, shown: list[PostedMessage], *, is_delivered: bool) -> None:
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        for message in shown:
            await tx.messages.put(message)
        moved = await work.move(tx, _get_final_state(work.job.state, is_delivered=is_delivered), notified_at=now)
    work.job = moved
    metrics.jobs.labels(command=moved.command, platform=moved.user.platform, outcome=moved.state.value).inc()
    if is_delivered:
        seconds = (now - moved.created_at).total_seconds()
        metrics.job_seconds.labels(command=moved.command, platform=moved.user.platform).observe(seconds)


def _get_final_state(state: JobState, *, is_delivered: bool) -> JobState:
    if state is not JobState.FINISHED:  # failed and cancelled jobs keep the state; `notified_at` marks the delivery
        return state
    return JobState.DELIVERED if is_delivered else JobState.UNDELIVERABLE
