"""running: listen to the backend, show what happens, stop it when somebody wants or when its time is up."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from bot.core.backend import RunEnded, RunEvent, RunPending, RunProgress, RunSnapshot, RunStarted, TextDelta
from bot.core.errors import BackendBusy, BackendDown, PredictionGone
from bot.core.models import OutputKind
from bot.core.replies import Progress, Reply, Stage
from bot.jobs.work import Work

log = logging.getLogger(__name__)

REFRESH_SECONDS = 3.0
"""How often the elapsed time is shown anew while nothing else changes."""

COLD_START_NOTICE_SECONDS = 4.0
"""A warm text model speaks within a second or so; one that is silent for longer is starting."""

BACKEND_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between attempts to listen again when the backend is away; the last one repeats."""

OUTPUT_RETENTION = timedelta(minutes=58)
"""Replicate deletes what it made after an hour; a backend away for longer has nothing left for us."""


@dataclass(slots=True)
class _RunView:
    """What is known of the run."""

    is_starting: bool = False
    """The backend said so."""
    has_begun: bool = False
    percent: int | None = None
    began_at: float = 0
    heard: str = ""


async def watch_run(work: Work, backend_id: str) -> RunSnapshot:
    """Follow a run to its end. Raises a `BackendError` only when nothing can be learnt of it any more."""
    view = _RunView(began_at=work.services.clock.monotonic())
    helpers = [
        asyncio.create_task(_cancel_when_requested(work, backend_id)),
        asyncio.create_task(_refresh_elapsed_time(work, view)),
    ]
    try:
        return await _listen(work, backend_id, view)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)


async def _listen(work: Work, backend_id: str, view: _RunView) -> RunSnapshot:
    """Listen, and listen again whenever the backend goes away, as long as its outputs would still be there."""
    give_up_at = work.job.updated_at + OUTPUT_RETENTION + timedelta(seconds=work.model.max_seconds)
    attempt = 0
    while True:
        try:
            return await _watch_once(work, backend_id, view)
        except (BackendDown, BackendBusy) as error:
            if work.services.clock.now() > give_up_at:
                raise PredictionGone("The model's service was away for too long. You were not charged.") from error
            wait = BACKEND_RETRY_SECONDS[min(attempt, len(BACKEND_RETRY_SECONDS) - 1)]
            log.warning("job.backend_away", extra={"job": work.job.id, "wait_seconds": wait})
            attempt += 1
            await work.services.clock.sleep(wait)


async def _watch_once(work: Work, backend_id: str, view: _RunView) -> RunSnapshot:
    view.heard = ""  # every watch begins at the first word
    async with aclosing(work.backend.watch(work.model, backend_id)) as events:
        async for event in events:
            if isinstance(event, RunEnded):
                return event.snapshot
            _apply_event(work, view, event)
            if _needs_render(work, event):
                _show(work, view)
    raise BackendDown("The model's service stopped answering.")


def _apply_event(work: Work, view: _RunView, event: RunEvent) -> None:
    match event:
        case RunPending():
            view.is_starting = True
        case RunStarted(after_seconds=after_seconds):
            _begin(work, view, after_seconds)
        case RunProgress(percent=percent):
            view.has_begun, view.percent = True, percent
        case TextDelta(text=text):
            _begin(work, view)
            view.heard += text
            if len(view.heard) > len(work.text):
                work.text = view.heard


def _needs_render(work: Work, event: RunEvent) -> bool:
    """That a writer begins is said by its first word, which would have to wait for its turn behind an edit of that.

    One that stays silent is told of by `_tick`.
    """
    return isinstance(event, TextDelta | RunProgress) or work.model.output is not OutputKind.TEXT_STREAM


def _begin(work: Work, view: _RunView, after_seconds: float | None = None) -> None:
    """It runs, and may have for a while: nobody looks at each moment, and its time is paid for."""
    view.has_begun = True
    if not work.started.is_set():
        since_created = (work.services.clock.now() - work.job.updated_at).total_seconds()
        seconds_ago = 0.0 if after_seconds is None else max(0.0, since_created - after_seconds)
        work.started_at = work.services.clock.monotonic() - seconds_ago
        work.started.set()


def _show(work: Work, view: _RunView) -> None:
    work.editor.show(lambda: _reply(work, view))


def _reply(work: Work, view: _RunView) -> Reply:
    elapsed = int(work.services.clock.monotonic() - (work.started_at or view.began_at))
    usual = round(work.usual_seconds) if work.usual_seconds else None
    progress = Progress(_stage(work, view, elapsed), view.percent, elapsed, usual or None)
    return work.services.presenter.render_progress(work.job, work.model, progress, work.text)


def _stage(work: Work, view: _RunView, elapsed: int) -> Stage:
    """A cold start is told when it is known: not of a picture that simply nobody looked at yet."""
    if view.has_begun:
        return Stage.RUNNING
    is_silent = work.model.output is OutputKind.TEXT_STREAM and elapsed >= COLD_START_NOTICE_SECONDS
    return Stage.STARTING if view.is_starting or is_silent else Stage.RUNNING


async def _refresh_elapsed_time(work: Work, view: _RunView) -> None:
    while True:
        await work.services.clock.sleep(REFRESH_SECONDS)
        if not work.text:
            _show(work, view)


async def _cancel_when_requested(work: Work, backend_id: str) -> None:
    """Cancel at the backend when somebody asks, or at started + max_seconds."""
    limit = asyncio.create_task(_until_limit(work))
    wanted = asyncio.create_task(work.cancel_requested.wait())
    try:
        await asyncio.wait({limit, wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            work.timeout_message = f"It ran longer than its limit of {work.model.max_seconds} seconds."
        await _cancel(work, backend_id)
    finally:
        limit.cancel()
        wanted.cancel()


async def _cancel(work: Work, backend_id: str) -> None:
    """Cancelling must reach the backend: tried until it is taken."""
    for wait in (*BACKEND_RETRY_SECONDS, BACKEND_RETRY_SECONDS[-1]):
        try:
            await work.backend.cancel(backend_id)
        except (BackendDown, BackendBusy):
            await work.services.clock.sleep(wait)
        else:
            log.info("job.cancel_sent", extra={"job": work.job.id})
            return


async def _until_limit(work: Work) -> None:
    await work.started.wait()
    ran = work.services.clock.monotonic() - (work.started_at or 0)
    await work.services.clock.sleep(max(0.0, work.model.max_seconds - ran))
