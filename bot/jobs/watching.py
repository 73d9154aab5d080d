"""running: listen to the backend, show what happens, stop it when somebody wants or when its time is up."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from bot.core.errors import BackendBusy, BackendDown, PredictionGone
from bot.core.models import OutputKind
from bot.core.predictions import Ended, Event, Progressed, Snapshot, Started, Starting, Wrote
from bot.core.replies import Progress, Reply, Stage
from bot.jobs.work import Work

log = logging.getLogger(__name__)

TICK_SECONDS = 3.0
"""How often the elapsed time is shown anew while nothing else changes."""

COLD_SECONDS = 4.0
"""A warm text model speaks within a second or so; one that is silent for longer is starting."""

LOOK_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between attempts to listen again when the backend is away; the last one repeats."""

OUTPUTS_KEPT = timedelta(minutes=58)
"""Replicate deletes what it made after an hour; a backend away for longer has nothing left for us."""


@dataclass(slots=True)
class _View:
    """What is known of the run."""

    is_starting: bool = False
    """The backend said so."""
    has_begun: bool = False
    percent: int | None = None
    began_at: float = 0
    heard: str = ""


async def watch(work: Work, backend_id: str) -> Snapshot:
    """Follow a run to its end. Raises a `BackendError` only when nothing can be learnt of it any more."""
    view = _View(began_at=work.parts.clock.monotonic())
    helpers = [asyncio.create_task(_stop_when_wanted(work, backend_id)), asyncio.create_task(_tick(work, view))]
    try:
        return await _listen(work, backend_id, view)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)


async def _listen(work: Work, backend_id: str, view: _View) -> Snapshot:
    """Listen, and listen again whenever the backend goes away, as long as its outputs would still be there."""
    give_up_at = work.job.updated_at + OUTPUTS_KEPT + timedelta(seconds=work.model.max_seconds)
    attempt = 0
    while True:
        try:
            return await _one_watch(work, backend_id, view)
        except (BackendDown, BackendBusy) as error:
            if work.parts.clock.now() > give_up_at:
                raise PredictionGone("The model's service was away for too long. You were not charged.") from error
            wait = LOOK_AGAIN_SECONDS[min(attempt, len(LOOK_AGAIN_SECONDS) - 1)]
            log.warning("job.backend_away", extra={"job": work.job.id, "wait_seconds": wait})
            attempt += 1
            await work.parts.clock.sleep(wait)


async def _one_watch(work: Work, backend_id: str, view: _View) -> Snapshot:
    view.heard = ""  # every watch begins at the first word
    async with aclosing(work.backend.watch(work.model, backend_id)) as events:
        async for event in events:
            if isinstance(event, Ended):
                return event.snapshot
            _take(work, view, event)
            if _is_news(work, event):
                _show(work, view)
    raise BackendDown("The model's service stopped answering.")


def _take(work: Work, view: _View, event: Event) -> None:
    match event:
        case Starting():
            view.is_starting = True
        case Started(after_seconds=after_seconds):
            _begin(work, view, after_seconds)
        case Progressed(percent=percent):
            view.has_begun, view.percent = True, percent
        case Wrote(text=text):
            _begin(work, view)
            view.heard += text
            if len(view.heard) > len(work.text):
                work.text = view.heard


def _is_news(work: Work, event: Event) -> bool:
    """That a writer begins is said by its first word, which would have to wait for its turn behind an edit of that.

    One that stays silent is told of by `_tick`.
    """
    return isinstance(event, Wrote | Progressed) or work.model.output is not OutputKind.TEXT_STREAM


def _begin(work: Work, view: _View, after_seconds: float | None = None) -> None:
    """It runs, and may have for a while: nobody looks at each moment, and its time is paid for."""
    view.has_begun = True
    if not work.began.is_set():
        since_created = (work.parts.clock.now() - work.job.updated_at).total_seconds()
        seconds_ago = 0.0 if after_seconds is None else max(0.0, since_created - after_seconds)
        work.started_at = work.parts.clock.monotonic() - seconds_ago
        work.began.set()


def _show(work: Work, view: _View) -> None:
    work.editor.show(lambda: _reply(work, view))


def _reply(work: Work, view: _View) -> Reply:
    elapsed = int(work.parts.clock.monotonic() - (work.started_at or view.began_at))
    usual = round(work.usual_seconds) if work.usual_seconds else None
    progress = Progress(_stage(work, view, elapsed), view.percent, elapsed, usual or None)
    return work.parts.presenter.working(work.job, work.model, progress, work.text)


def _stage(work: Work, view: _View, elapsed: int) -> Stage:
    """A cold start is told when it is known: not of a picture that simply nobody looked at yet."""
    if view.has_begun:
        return Stage.RUNNING
    is_silent = work.model.output is OutputKind.TEXT_STREAM and elapsed >= COLD_SECONDS
    return Stage.STARTING if view.is_starting or is_silent else Stage.RUNNING


async def _tick(work: Work, view: _View) -> None:
    while True:
        await work.parts.clock.sleep(TICK_SECONDS)
        if not work.text:
            _show(work, view)


async def _stop_when_wanted(work: Work, backend_id: str) -> None:
    """Cancel at the backend when somebody asks, or at started + max_seconds."""
    limit = asyncio.create_task(_until_limit(work))
    wanted = asyncio.create_task(work.cancelled.wait())
    try:
        await asyncio.wait({limit, wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            work.stopped_by_limit = f"It ran longer than its limit of {work.model.max_seconds} seconds."
        await _cancel(work, backend_id)
    finally:
        limit.cancel()
        wanted.cancel()


async def _cancel(work: Work, backend_id: str) -> None:
    """Cancelling must reach the backend: tried until it is taken."""
    for wait in (*LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS[-1]):
        try:
            await work.backend.cancel(backend_id)
        except (BackendDown, BackendBusy):
            await work.parts.clock.sleep(wait)
        else:
            log.info("job.cancel_sent", extra={"job": work.job.id})
            return


async def _until_limit(work: Work) -> None:
    await work.began.wait()
    ran = work.parts.clock.monotonic() - (work.started_at or 0)
    await work.parts.clock.sleep(max(0.0, work.model.max_seconds - ran))
