"""The agent view: prompts above an empty conversation, titles and status of threads, and a person's open place.

Slack sends the open place with direct messages to an app that subscribes to `app_context_changed`
(docs.slack.dev/ai/agent-context-management). A status (“is thinking…”) comes with Slack's own Stop button. Callers do
not wait for these calls: a model gets the question while Slack is still updating the status.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.replies import MessageRef, Progress
from bot.platforms.slack.errors import CallRefused, CallUnclear
from bot.platforms.slack.messages import format_status
from bot.platforms.slack.mrkdwn import truncate
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

Prompt = Mapping[str, str]

SUGGESTED_PROMPTS: Sequence[Prompt] = (
    {"title": "Draw something", "message": "imagine: a watercolour fox in the snow"},
    {"title": "Explain something", "message": "Explain in three sentences how a rainbow forms."},
    {"title": "What can you do?", "message": "help"},
    {"title": "What do I have left?", "message": "usage"},
)
_CHANNEL_PROMPT: Prompt = {"title": "Sum up this channel", "message": "What was said in this channel lately?"}

_MAX_TITLE = 60
_CHANNEL, _CANVAS, _MESSAGE = (f"slack#/types/{name}" for name in ("channel_id", "canvas_id", "message_context"))
# Reading costs tokens of the person: only words that point at the open place have the place read.
_POINTERS = r"\b(?:this|dies\w*|este|esta|ce|cet|cette|questo|questa|dit|deze)\s+"
_NAMES_CHANNEL = re.compile(rf"{_POINTERS}(?:channel|kanal\w*|canal|canale|kanaal)\b", re.IGNORECASE)
_NAMES_THREAD = re.compile(rf"{_POINTERS}(?:thread|message|nachricht|hilo|fil|mensaje|bericht)\b", re.IGNORECASE)
_NAMES_CANVAS = re.compile(rf"{_POINTERS}(?:canvas|document|dokument|documento)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """The channel, thread or canvas that a person has open beside the bot's messages; empty where nothing is open."""

    channel: str = ""
    thread: str = ""
    canvas: str = ""

    def narrow_to(self, words: str) -> "OpenPlace":
        """Return the parts of the place that the words name: "this channel", "this thread", "this canvas"."""
        is_thread = bool(self.thread and _NAMES_THREAD.search(words))
        is_channel = is_thread or bool(_NAMES_CHANNEL.search(words))
        return OpenPlace(
            channel=self.channel if is_channel else "",
            thread=self.thread if is_thread else "",
            canvas=self.canvas if _NAMES_CANVAS.search(words) else "",
        )


def read_open_place(context: Any, team: str) -> OpenPlace:
    """Return the place in an event's `app_context`. A place of another workspace, by Slack Connect, is left out."""
    entities = context.get("entities") if isinstance(context, Mapping) else None
    found: dict[str, Any] = {}
    # The most relevant entity of each type comes first.
    for entity in entities or ():
        if isinstance(entity, Mapping) and entity.get("team_id") in (None, "", team):
            found.setdefault(str(entity.get("type")), entity.get("value"))
    message = found.get(_MESSAGE)
    message = message if isinstance(message, Mapping) else {}
    return OpenPlace(
        channel=str(message.get("channel_id") or found.get(_CHANNEL) or ""),
        thread=str(message.get("message_ts") or ""),
        canvas=str(found.get(_CANVAS) or ""),
    )


def choose_prompts(place: OpenPlace) -> list[Prompt]:
    """Return the prompts for a person: at most four, with a question about the open channel, if any."""
    draw, explain, *others = SUGGESTED_PROMPTS
    return [draw, _CHANNEL_PROMPT if place.channel else explain, *others]


def format_title(words: str) -> str:
    """Return the title of a thread that begins with these words."""
    return truncate(" ".join(words.split()), _MAX_TITLE)


# The status of a thread.

# Slack removes a status after two minutes, or with the next message (docs.slack.dev: assistant.threads.setStatus).
REFRESH_SECONDS = 80.0

SET_THREAD_STATUS, SET_SESSION_STATUS = "assistant.threads.setStatus", "agents.sessions.setStatus"
# The states of a session: Slack shows its Stop button while a session is processing (docs.slack.dev/ai/agent-sessions).
_PROCESSING, _ACTIVE = "processing", "active"

_PATIENCE_SECONDS = 1.0
_UNSUPPORTED = ("unknown_method", "missing_scope", "not_allowed_token_type", "no_permission")

_MAX_TITLES = 1_000

_ThreadKey = tuple[str, str, str]


@dataclass(slots=True)
class _ThreadStatus:
    """The status of a thread; without text no job of the thread is waiting."""

    ref: MessageRef
    text: str = ""
    updated_at_seconds: float = float("-inf")
    is_text_due: bool = False
    session: str = ""
    sent_session: str = ""
    is_sending: bool = False
    current_method: str = ""


class SlackStatuses:
    """The statuses of all waiting threads. A method refused by a workspace is not called there again."""

    def __init__(self, web_api: SlackWebApi, clock: Clock, tasks: BackgroundTasks) -> None:
        self._web_api = web_api
        self._clock = clock
        self._tasks = tasks
        self._statuses: dict[_ThreadKey, _ThreadStatus] = {}
        self._titles: RecentItems[_ThreadKey, str] = RecentItems(_MAX_TITLES)
        self._unsupported: set[tuple[str, str]] = set()

    def set_title(self, ref: MessageRef, title: str) -> None:
        """Give a thread a title, if not empty, which goes along with the next state of the session."""
        if title:
            self._titles[_get_key(ref)] = title

    def show(self, ref: MessageRef, progress: Progress | None) -> None:
        """Show a job's progress in the thread. Send an unchanged status only after `REFRESH_SECONDS`."""
        status, text = self._get(ref), format_status(progress) if progress else "is thinking…"
        now = self._clock.monotonic()
        if text != status.text or now - status.updated_at_seconds >= REFRESH_SECONDS:
            status.text, status.updated_at_seconds, status.is_text_due = text, now, True
            status.session = _PROCESSING
            self._start_sending(status)

    def clear(self, ref: MessageRef, *, is_posted: bool) -> None:
        """Remove a thread's status. A posted message has removed the status already, unless a call was under way."""
        status = self._statuses.get(_get_key(ref))
        if status is not None:
            status.text = ""
            status.is_text_due = not is_posted or status.current_method == SET_THREAD_STATUS
            status.session = status.sent_session if is_posted or not status.sent_session else _ACTIVE
            self._start_sending(status)

    def end_session(self, ref: MessageRef) -> None:
        """End a thread's session, if the answer's stream did not end the session already."""
        status = self._get(ref)
        status.session = _ACTIVE
        self._start_sending(status)

    def drop(self, ref: MessageRef) -> None:
        """Stop calls for an unreachable thread."""
        status = self._statuses.get(_get_key(ref))
        if status is not None:
            status.text, status.is_text_due, status.session = "", False, status.sent_session
            self._start_sending(status)

    def refresh(self) -> None:
        """Send all statuses again before Slack removes a status: a job may wait long without news."""
        now = self._clock.monotonic()
        for status in self._statuses.values():
            if status.text and now - status.updated_at_seconds >= REFRESH_SECONDS:
                status.updated_at_seconds, status.is_text_due = now, True
                self._start_sending(status)

    def _get(self, ref: MessageRef) -> _ThreadStatus:
        return self._statuses.setdefault(_get_key(ref), _ThreadStatus(ref))

    def _start_sending(self, status: _ThreadStatus) -> None:
        if not status.is_sending:
            status.is_sending = True
            self._tasks.spawn(self._send_changes(status), "status")

    async def _send_changes(self, status: _ThreadStatus) -> None:
        # A single task for each thread: calls stay in order, and states changed in the meantime are skipped.
        try:
            while status.is_text_due or status.session != status.sent_session:
                status.current_method = SET_THREAD_STATUS if status.is_text_due else SET_SESSION_STATUS
                if status.is_text_due:
                    status.is_text_due = False
                    await self._send(status.ref, SET_THREAD_STATUS, status.text)
                else:
                    status.sent_session = status.session
                    await self._send(status.ref, SET_SESSION_STATUS, status.session)
                status.current_method = ""
        finally:
            status.is_sending = False
            if not status.text:
                self._statuses.pop(_get_key(status.ref), None)

    async def _send(self, ref: MessageRef, method: str, state: str) -> None:
        if not ref.thread or (ref.workspace, method) in self._unsupported:
            return
        if state == _PROCESSING and not self._web_api.rate_limits.get(ref.workspace, method).is_ready(
            _PATIENCE_SECONDS
        ):
            return  # a late "processing" could arrive after the answer and stay
        title = self._titles.pop(_get_key(ref), None) if method == SET_SESSION_STATUS else None
        try:
            await self._web_api.call(
                ref.workspace, method, channel_id=ref.channel, thread_ts=ref.thread, status=state, title=title
            )
        except CallRefused as error:
            log.info("slack.status_failed", extra={"method": method, "reason": error.code})
            if error.code in _UNSUPPORTED:
                self._unsupported.add((ref.workspace, method))
        except CallUnclear as error:
            log.info("slack.status_failed", extra={"method": method, "reason": str(error)})


def _get_key(ref: MessageRef) -> _ThreadKey:
    return ref.workspace, ref.channel, ref.thread
