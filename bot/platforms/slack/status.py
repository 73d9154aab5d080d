"""What Slack shows beside the bot's name while it works, "is thinking…", with its own Stop where it has one.

Nobody waits for it: a question goes to its model while Slack is being told that it does.
"""

import logging
from dataclasses import dataclass

from bot.core.clock import Clock
from bot.core.replies import MessageRef, Progress
from bot.platforms.slack.messages import format_status
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi

log = logging.getLogger(__name__)

REFRESH_SECONDS = 80.0
"""A status is gone after two minutes, or with the next message (docs.slack.dev: assistant.threads.setStatus)."""

_PATIENCE_SECONDS = 1.0

SET_THREAD_STATUS, SET_SESSION_STATUS = "assistant.threads.setStatus", "agents.sessions.setStatus"

_Place = tuple[str, str, str]


@dataclass(slots=True)
class _ThreadStatus:
    """One thread's status. `text` is empty when nothing goes on there any more."""

    ref: MessageRef
    text: str = ""
    at: float = float("-inf")
    is_due: bool = False
    """Slack has yet to be told of the text."""
    session: str = ""
    """Slack shows its own Stop while it is `processing`: docs.slack.dev/ai/agent-sessions."""
    session_told: str = ""
    is_busy: bool = False
    calling: str = ""


class SlackStatuses:
    """The status of each thread that waits. What an app may not do in a workspace is not tried there again."""

    def __init__(self, calls: SlackWebApi, clock: Clock, tasks: Tasks) -> None:
        self._calls = calls
        self._clock = clock
        self._tasks = tasks
        self._lines: dict[_Place, _ThreadStatus] = {}
        self._refused: set[tuple[str, str]] = set()

    def show(self, ref: MessageRef, progress: Progress | None) -> None:
        """Say what is going on; nothing is called while the same is shown still."""
        line, text = self._line(ref), format_status(progress) if progress else "is thinking…"
        now = self._clock.monotonic()
        if text != line.text or now - line.at >= REFRESH_SECONDS:
            line.text, line.at, line.is_due, line.session = text, now, True, "processing"
            self._tell(line)

    def clear(self, ref: MessageRef, *, is_posted: bool) -> None:
        """Nothing is going on any more; a message that was posted has taken the line away, if it came after it."""
        line = self._lines.get(_place(ref))
        if line is not None:
            line.text = ""
            line.is_due = not is_posted or line.calling == SET_THREAD_STATUS
            line.session = line.session_told if is_posted or not line.session_told else "active"
            self._tell(line)

    def end_session(self, ref: MessageRef) -> None:
        """The thread's session is over, without a stream that said so."""
        line = self._line(ref)
        line.session = "active"
        self._tell(line)

    def drop(self, ref: MessageRef) -> None:
        """Nothing can be shown there any more: nothing is called for it either."""
        line = self._lines.get(_place(ref))
        if line is not None:
            line.text, line.is_due, line.session = "", False, line.session_told
            self._tell(line)

    def refresh(self) -> None:
        """Show again what is about to fade: a job may wait long without news."""
        now = self._clock.monotonic()
        for line in self._lines.values():
            if line.text and now - line.at >= REFRESH_SECONDS:
                line.at, line.is_due = now, True
                self._tell(line)

    def _line(self, ref: MessageRef) -> _ThreadStatus:
        return self._lines.setdefault(_place(ref), _ThreadStatus(ref))

    def _tell(self, line: _ThreadStatus) -> None:
        if not line.is_busy:
            line.is_busy = True
            self._tasks.spawn(self._told(line), "status")

    async def _told(self, line: _ThreadStatus) -> None:
        """One call after the other, so that none overtakes a later one; what is old by then is left out."""
        try:
            while line.is_due or line.session != line.session_told:
                line.calling = SET_THREAD_STATUS if line.is_due else SET_SESSION_STATUS
                if line.is_due:
                    line.is_due = False
                    await self._call(line.ref, SET_THREAD_STATUS, line.text)
                else:
                    line.session_told = line.session
                    await self._call(line.ref, SET_SESSION_STATUS, line.session)
                line.calling = ""
        finally:
            line.is_busy = False
            if not line.text:
                self._lines.pop(_place(line.ref), None)

    async def _call(self, ref: MessageRef, method: str, status: str) -> None:
        if not ref.thread or (ref.workspace, method) in self._refused:
            return
        if status == "processing" and not self._calls.rate_limits.get(ref.workspace, method).is_ready(
            _PATIENCE_SECONDS
        ):
            return  # told too late it would outlive the answer
        try:
            await self._calls.call(ref.workspace, method, channel_id=ref.channel, thread_ts=ref.thread, status=status)
        except CallRefused as error:
            log.info("slack.no_status", extra={"method": method, "reason": error.code})
            if error.code in ("unknown_method", "missing_scope", "not_allowed_token_type", "no_permission"):
                self._refused.add((ref.workspace, method))
        except CallUnclear as error:
            log.info("slack.no_status", extra={"method": method, "reason": str(error)})


def _place(ref: MessageRef) -> _Place:
    return ref.workspace, ref.channel, ref.thread
