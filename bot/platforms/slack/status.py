"""What Slack shows beside the bot's name while it works, "is thinking…", with its own Stop where it has one."""

import logging

from bot.core.clock import Clock
from bot.core.replies import MessageRef, Progress
from bot.platforms.slack.calls import CallRefused, Calls, CallUnclear
from bot.platforms.slack.messages import status_line

log = logging.getLogger(__name__)

REFRESH_SECONDS = 80.0
"""A status is gone after two minutes, or with the next message (docs.slack.dev: assistant.threads.setStatus)."""

_Place = tuple[str, str, str]


class Statuses:
    """The status of each thread that waits. What an app may not do in a workspace is not tried there again."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._shown: dict[_Place, tuple[str, float]] = {}
        self._refs: dict[_Place, MessageRef] = {}
        self._refused: set[tuple[str, str]] = set()

    async def show(self, ref: MessageRef, progress: Progress | None) -> None:
        """Say what is going on; nothing is called while the same is shown still."""
        place, line = _place(ref), status_line(progress) if progress else "is thinking…"
        before, at = self._shown.get(place, ("", float("-inf")))
        now = self._clock.monotonic()
        if line == before and now - at < REFRESH_SECONDS:
            return
        self._shown[place], self._refs[place] = (line, now), ref
        if not before:
            # Slack shows its own Stop while a session is processing: docs.slack.dev/ai/agent-sessions
            await self._call(ref, "agents.sessions.setStatus", status="processing")
        await self._call(ref, "assistant.threads.setStatus", status=line)

    async def clear(self, ref: MessageRef, *, is_posted: bool) -> None:
        """Nothing is going on any more; a message that was posted has taken the line away."""
        before, _ = self._shown.pop(_place(ref), ("", 0.0))
        self._refs.pop(_place(ref), None)
        if before and not is_posted:
            await self._call(ref, "assistant.threads.setStatus", status="")

    async def keep_alive(self) -> None:
        """Show again what is about to fade: a job may wait long without news."""
        now = self._clock.monotonic()
        for place, (line, at) in list(self._shown.items()):
            if now - at >= REFRESH_SECONDS and place in self._refs:
                self._shown[place] = (line, now)
                await self._call(self._refs[place], "assistant.threads.setStatus", status=line)

    async def rest(self, ref: MessageRef) -> None:
        """The thread's session is over, without a stream that said so."""
        await self._call(ref, "agents.sessions.setStatus", status="active")

    async def _call(self, ref: MessageRef, method: str, status: str) -> None:
        if not ref.thread or (ref.workspace, method) in self._refused:
            return
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
