"""Watches a running job: shows the backend's events, and cancels the run on request or at the time limit."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from bot.conversations.tools import hide_call
from bot.core.backend import (
    RunEnded,
    RunEvent,
    RunPending,
    RunPreview,
    RunPreviewFile,
    RunProgress,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.background_tasks import BackgroundTasks, first_completed
from bot.core.errors import BackendBusy, BackendDown, BadFile, OutputGone, PredictionGone, Unavailable, UnsafeAddress
from bot.core.limits import MAX_ANSWER_CHARACTERS
from bot.core.models import OutputKind
from bot.core.replies import LivePreview, Progress, Reply, Stage
from bot.jobs.work import Work
from bot.streaming.answers import extract_answer, is_blank

log = logging.getLogger(__name__)

REFRESH_SECONDS = 3.0
"""The elapsed time is refreshed this often while no event changes the message."""

PREVIEW_SECONDS = 1.0
"""The time between two unfinished pictures in a message."""

# A warm text model writes the first word within a second or so: longer silence means a cold start.
COLD_START_NOTICE_SECONDS = 4.0

BACKEND_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between attempts while the backend is away; the last wait repeats."""

# Replicate deletes outputs after an hour (replicate.com/docs/topics/predictions/data-retention): a backend away for
# longer has no output left for us.
OUTPUT_RETENTION = timedelta(minutes=58)


@dataclass(slots=True)
class _RunView:
    """The state of a run according to the events."""

    watched_since: float
    """On the monotonic clock."""
    helpers: BackgroundTasks = field(default_factory=lambda: BackgroundTasks("watch"))
    """Tasks beside the events, which end with the watch."""
    is_starting: bool = False
    has_begun: bool = False
    percent: int | None = None
    text: str = ""
    """The text of the current watch."""
    has_answer: bool = False
    """Whether the text holds more than thoughts."""
    backend_position: int | None = None
    """The place in the backend's own queue."""
    preview: LivePreview | None = None
    preview_task: asyncio.Task[None] | None = None
    next_preview_at: float = 0.0
    """The earliest time of the next preview, on the monotonic clock."""


async def watch_run(work: Work, backend_id: str) -> RunSnapshot:
    """Follow a run and return the final snapshot. Raise a `BackendError` if the backend has no answer any more."""
    view = _RunView(watched_since=work.services.clock.monotonic())
    view.helpers.spawn(_cancel_when_requested(work, backend_id), "cancellation")
    view.helpers.spawn(_refresh_elapsed_time(work, view), "elapsed time")
    try:
        return await _listen(work, backend_id, view)
    finally:
        await view.helpers.cancel()


async def _listen(work: Work, backend_id: str, view: _RunView) -> RunSnapshot:
    """Watch, and watch again whenever the backend was away, as long as the outputs would still exist."""
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
    view.text = ""  # each watch repeats the text from the first word
    async with aclosing(work.backend.watch(work.model, backend_id)) as events:
        async for event in events:
            if isinstance(event, RunEnded):
                return event.snapshot
            _apply_event(work, view, event)
            if _needs_render(work, view, event):
                _show(work, view)
    raise BackendDown("The model's service stopped answering.")


def _apply_event(work: Work, view: _RunView, event: RunEvent) -> None:
    match event:
        case RunPending(position=position):
            view.is_starting, view.backend_position = True, position
        case RunPreview(data=data):
            _take_preview(work, view, data)
        case RunPreviewFile(url=url):
            _take_preview(work, view, url)
        case RunStarted(after_seconds=after_seconds):
            _record_start(work, view, after_seconds)
        case RunProgress(percent=percent):
            view.has_begun, view.percent = True, percent
        case TextDelta(text=text):
            _record_start(work, view)
            view.text += text
            # A repeated watch is behind the text on the screen at first, and must not shorten the text.
            if len(view.text) > len(work.text):
                work.text = view.text


def _needs_render(work: Work, view: _RunView, event: RunEvent) -> bool:
    # Text models: no "started" edit; it would use the slot the first token needs. `_refresh_elapsed_time` covers a
    # silent model.
    # A thinking model shows nothing of a text yet: `_refresh_elapsed_time` covers thoughts too.
    if isinstance(event, TextDelta):
        view.has_answer = view.has_answer or not is_blank(_get_shown_answer(work))
        return view.has_answer
    if isinstance(event, RunPreview | RunPreviewFile):
        return False
    return isinstance(event, RunProgress) or work.model.output is not OutputKind.TEXT_STREAM


def _take_preview(work: Work, view: _RunView, source: bytes | str) -> None:
    """Show an unfinished picture soon, at most one a second: each is decoded, checked, and sent as a file."""
    now = work.services.clock.monotonic()
    is_busy = view.preview_task is not None and not view.preview_task.done()
    if is_busy or now < view.next_preview_at or not work.editor.shows_previews or work.model.is_adult:
        return
    view.next_preview_at = now + PREVIEW_SECONDS
    # Beside the events: a preview that waits for memory must not delay the end of the run.
    view.preview_task = view.helpers.spawn(_show_preview(work, view, source), "preview")


async def _show_preview(work: Work, view: _RunView, source: bytes | str) -> None:
    """Show the picture in some bytes, or at an address of the backend."""
    media = work.services.media
    try:
        if isinstance(source, str):
            source = await media.fetch_live_preview(source, origin=work.backend.config.origin)
        picture = await media.make_live_preview(source)
    except (BadFile, UnsafeAddress, OutputGone, Unavailable) as error:
        log.info("job.preview_refused", extra={"job": work.job.id, "reason": str(error)})
        return
    view.preview = LivePreview(picture.data, picture.facts.mime, picture.facts.width, picture.facts.height)
    _show(work, view)


def _record_start(work: Work, view: _RunView, after_seconds: float | None = None) -> None:
    """Note the start of the run: `after_seconds` after the creation, or now."""
    view.has_begun = True
    if not work.started.is_set():
        # A poll may find a run started a while ago; the time limit counts from the start of the backend's bill.
        since_created = (work.services.clock.now() - work.job.updated_at).total_seconds()
        seconds_ago = 0.0 if after_seconds is None else max(0.0, since_created - after_seconds)
        work.started_at = work.services.clock.monotonic() - seconds_ago
        work.started.set()


def _get_shown_answer(work: Work) -> str:
    """Return the answer so far, without thoughts and without the call of a tool."""
    answer = extract_answer(work.text, is_whole=False)
    return answer if work.job.tools is None else hide_call(answer)


def _show(work: Work, view: _RunView) -> None:
    work.editor.show(lambda: _render(work, view))


def _render(work: Work, view: _RunView) -> Reply:
    elapsed_seconds = int(work.services.clock.monotonic() - (work.started_at or view.watched_since))
    usual_seconds = round(work.usual_seconds) if work.usual_seconds else None
    stage = _get_stage(work, view, elapsed_seconds)
    progress = Progress(
        stage,
        view.percent,
        elapsed_seconds,
        usual_seconds or None,
        queue_position=view.backend_position if stage is Stage.QUEUED else None,
    )
    answer = _get_shown_answer(work)[:MAX_ANSWER_CHARACTERS] if view.has_answer else ""
    return work.services.presenter.render_progress(work.job, work.model, progress, answer, view.preview)


def _get_stage(work: Work, view: _RunView, elapsed_seconds: int) -> Stage:
    if view.has_begun:
        return Stage.RUNNING
    if view.backend_position is not None:
        return Stage.QUEUED
    # Pictures are polled: without an event a picture model may well run, so silence has no meaning there.
    is_silent = work.model.output is OutputKind.TEXT_STREAM and elapsed_seconds >= COLD_START_NOTICE_SECONDS
    return Stage.STARTING if view.is_starting or is_silent else Stage.RUNNING


async def _refresh_elapsed_time(work: Work, view: _RunView) -> None:
    while True:
        await work.services.clock.sleep(REFRESH_SECONDS)
        if not view.has_answer:
            _show(work, view)


async def _cancel_when_requested(work: Work, backend_id: str) -> None:
    """Cancel at the backend on request, or when the run exceeds `max_seconds`."""
    await first_completed(_wait_for_time_limit(work), work.cancel_requested.wait())
    if not work.cancel_requested.is_set():
        work.timeout_message = f"It ran longer than its limit of {work.model.max_seconds} seconds."
    await _cancel(work, backend_id)


async def _cancel(work: Work, backend_id: str) -> None:
    # The backend bills until the cancel arrives: retry while the backend is away. `Cancel-After` covers the rest.
    for wait in (*BACKEND_RETRY_SECONDS, BACKEND_RETRY_SECONDS[-1]):
        try:
            await work.backend.cancel(backend_id)
        except (BackendDown, BackendBusy):
            await work.services.clock.sleep(wait)
        else:
            log.info("job.cancel_sent", extra={"job": work.job.id})
            return


async def _wait_for_time_limit(work: Work) -> None:
    await work.started.wait()
    run_seconds = work.services.clock.monotonic() - (work.started_at or 0)
    await work.services.clock.sleep(max(0.0, work.model.max_seconds - run_seconds))
