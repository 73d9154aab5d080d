"""finished → delivered: the placeholder becomes the result. An edit is idempotent, so a crash here costs nothing."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.errors import Unavailable
from bot.core.jobs import JobState, Output, PostedMessage
from bot.core.platform import MessageLost
from bot.jobs.presenting import Result
from bot.jobs.work import Work
from bot.telemetry import metrics

log = logging.getLogger(__name__)


async def deliver(work: Work) -> None:
    """Show the last word. Where it cannot be shown it stays with the job, and `/show` brings it back."""
    reply = work.services.presenter.render_result(work.job, work.model, await load_result(work))
    try:
        shown = await work.editor.finish(reply)
    except Unavailable:
        raise
    except Exception as error:  # an SDK may raise anything, and the editor has tried again and again
        reason = str(error) if isinstance(error, MessageLost) else repr(error)
        log.warning("job.undeliverable", extra={"job": work.job.id, "reason": reason})
        await _note(work, [], is_delivered=False)
        return
    await _note(work, shown, is_delivered=True)
    log.info("job.delivered", extra={"job": work.job.id, "state": work.job.state, "micros": work.job.cost_micros})


async def load_result(work: Work) -> Result:
    """What a job came to, from its rows."""
    if work.result is not None:
        return replace(work.result, is_cut=_is_cut(work, work.result.outputs))
    if not work.job.prediction:
        return Result(())
    async with work.services.database.read() as tx:
        outputs = await tx.outputs.list_outputs(work.job.prediction)
        record = await tx.predictions.get(work.job.prediction)
    return Result(outputs, record.predict_seconds if record else None, _is_cut(work, outputs))


def _is_cut(work: Work, outputs: Sequence[Output]) -> bool:
    """Whether an answer ended before the model had said all: stopped, or as long as was allowed."""
    if work.job.state is JobState.CANCELLED:
        return bool(outputs)
    allowed = work.job.options.get("max_tokens")
    written = sum(len(output.text.encode()) for output in outputs)
    # Tokens of English have four bytes on average; an answer this long most likely hit its bound.
    return isinstance(allowed, int) and written >= allowed * 4


async def _note(work: Work, shown: list[PostedMessage], *, is_delivered: bool) -> None:
    now = work.services.clock.now()
    async with work.services.database.write(is_urgent=True) as tx:
        for message in shown:
            await tx.messages.put(message)
        moved = await work.move(tx, _delivered_state(work.job.state, is_delivered=is_delivered), notified_at=now)
    work.job = moved
    metrics.jobs.labels(command=moved.command, platform=moved.user.platform, outcome=moved.state.value).inc()
    if is_delivered:
        _observe(work, now)


def _delivered_state(state: JobState, *, is_delivered: bool) -> JobState:
    if state is not JobState.FINISHED:
        return state
    return JobState.DELIVERED if is_delivered else JobState.UNDELIVERABLE


def _observe(work: Work, now: datetime) -> None:
    seconds = (now - work.job.created_at).total_seconds()
    metrics.job_seconds.labels(command=work.job.command, platform=work.job.user.platform).observe(seconds)
