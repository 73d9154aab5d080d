"""Slack's own streams: a message that grows, appended to by one writer, and mended where Slack ended it.

Two limits are documented nowhere and were measured by others: a stream ends some 300 seconds after it began
(github.com/slackapi/python-slack-sdk/issues/1859) and takes some 10,600 bytes in all.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.core.clock import Clock
from bot.core.platform import MessageFull
from bot.core.replies import MessageRef, Recipient, Reply, Tone
from bot.platforms.slack.messages import render_blocks, render_fallback_text, render_footer
from bot.platforms.slack.mrkdwn import cut_unstable_end, neutralize_mentions
from bot.platforms.slack.pacing import APPEND_STREAM, START_STREAM, STOP_STREAM, UPDATE_MESSAGE, SlackPacer
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi

log = logging.getLogger(__name__)

FULL_AFTER_SECONDS = 200.0
"""From here on a stream ends at the next good place, well before 240 seconds; Slack ends it at some 300."""

_NOT_TO_BE_HAD = frozenset({
    "unknown_method", "feature_not_enabled", "method_deprecated", "deprecated_endpoint", "missing_scope",
    "no_permission", "team_not_found", "access_denied",
})  # fmt: skip
_NOT_HERE = frozenset({
    "channel_type_not_supported", "restricted_action", "restricted_action_thread_locked", "messages_tab_disabled",
    "restricted_action_non_threadable_channel", "restricted_action_read_only_channel", "user_not_found", "no_text",
    "restricted_action_thread_only_channel", "missing_recipient_user_id", "missing_recipient_team_id",
})  # fmt: skip
_ENDED = frozenset(
    {"message_not_in_streaming_state", "msg_too_long", "streaming_mode_mismatch", "streaming_state_conflict"}
)
_TRY_AGAIN_SECONDS = 3600.0
_PATIENCE_SECONDS = 2.0
_MOST_LIVE = 5_000

StopHandler = Callable[[MessageRef], Awaitable[None]]
"""Told when a person pressed Slack's own Stop."""


@dataclass(slots=True)
class SlackStream:
    """One message that grows. `shown` is what it surely shows."""

    ref: MessageRef
    started_at_seconds: float
    shown: str
    is_over: bool = False
    """Only an edit reaches it any more."""
    is_full_reported: bool = False


class SlackStreams:
    """All live streams of this process."""

    def __init__(self, calls: SlackWebApi, clock: Clock, stopped: StopHandler) -> None:
        self._calls = calls
        self._clock = clock
        self._stopped = stopped
        self._live: dict[MessageRef, SlackStream] = {}
        self._unavailable_until: dict[str, float] = {}

    def get(self, ref: MessageRef) -> SlackStream | None:
        return self._live.get(ref)

    def is_available(self, team: str) -> bool:
        """Whether streams are to be had in that workspace, as far as is known."""
        return self._clock.monotonic() >= self._unavailable_until.get(team, float("-inf"))

    async def start(self, place: MessageRef, recipient: Recipient, text: str) -> MessageRef | None:
        """A new stream in the thread of `place` that shows `text`; None where streams are not to be had just now.

        Raises `CallRefused` where nothing can be posted at all.
        """
        team = place.workspace
        if not self.is_available(team) or not self._calls.rate_limits.get(team, START_STREAM).is_ready(
            _PATIENCE_SECONDS
        ):
            return None
        began_at = self._clock.monotonic()
        try:
            answer = await self._calls.call(
                team, START_STREAM, channel=place.channel, thread_ts=place.thread or None, markdown_text=text,
                recipient_user_id=recipient.user, recipient_team_id=recipient.workspace,
            )  # fmt: skip
        except CallRefused as error:
            if error.code in _NOT_TO_BE_HAD:
                log.warning("slack.no_streams", extra={"team": team, "reason": error.code})
                self._unavailable_until[team] = self._clock.monotonic() + _TRY_AGAIN_SECONDS
                return None
            if error.code in _NOT_HERE:
                log.info("slack.no_stream_here", extra={"channel": place.channel, "reason": error.code})
                return None
            raise
        ref = MessageRef(place.platform, team, place.channel, place.thread, str(answer["ts"]))
        while len(self._live) >= _MOST_LIVE:
            self._live.pop(next(iter(self._live)))  # jobs that were lost leave theirs behind
        self._live[ref] = SlackStream(ref, began_at, text)
        return ref

    async def update(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> bool:
        """Bring a stream in step with its message; its last word ends it. Raises `MessageFull`.

        Gives whether Slack was told with it that the thread's session rests.
        """
        if reply.tone is not Tone.WORKING:
            is_at_rest = await self._finish(stream, reply, pacer)
            self.forget(stream.ref)
            return is_at_rest
        if stream.is_over:
            await self._update(stream, reply, pacer)
        else:
            await self._grow(stream, reply, pacer)
        return False

    def forget(self, ref: MessageRef) -> None:
        self._live.pop(ref, None)

    async def _grow(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> None:
        if not stream.is_full_reported and self._clock.monotonic() - stream.started_at_seconds >= FULL_AFTER_SECONDS:
            stream.is_full_reported = True
            raise MessageFull
        text = cut_unstable_end(neutralize_mentions(reply.text))
        if not text.startswith(stream.shown):
            if not stream.shown.startswith(text):
                await self._mend(stream, reply, pacer, "text changed")
            return
        if text == stream.shown:
            return
        if await self._append(stream, text, is_paid=pacer.use_turn(APPEND_STREAM)):
            return
        pacer.next_method = UPDATE_MESSAGE
        await self._update(stream, reply, pacer)

    async def _append(self, stream: SlackStream, text: str, *, is_paid: bool) -> bool:
        """Append what is new. False when the stream is over, for whatever reason."""
        ref, tail = stream.ref, text[len(stream.shown) :]
        try:
            await self._calls.call(
                ref.workspace, APPEND_STREAM, is_paid=is_paid, channel=ref.channel, ts=ref.id, markdown_text=tail
            )
        except CallRefused as error:
            if error.code == "stopped_by_user":
                stream.is_over = True
                await self._stopped(ref)
                return False
            if error.code not in _ENDED:
                raise
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": error.code})
        except CallUnclear as error:
            # It may have arrived or not: appending it again could show it twice, an edit cannot.
            log.info("slack.append_unclear", extra={"ts": ref.id, "reason": str(error)})
        else:
            stream.shown = text
            return True
        await self._end(stream)
        return False

    async def _finish(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> bool:
        text = neutralize_mentions(reply.text)
        if stream.is_over or not text.startswith(stream.shown):
            await self._mend(stream, reply, pacer, "last word")
            return False
        ref, is_ready = stream.ref, self._calls.rate_limits.get(stream.ref.workspace, STOP_STREAM).is_ready(0.3)
        if (
            not is_ready
            and text != stream.shown
            and not await self._append(stream, text, is_paid=pacer.use_turn(APPEND_STREAM))
        ):
            await self._update(stream, reply, pacer)
            return False
        footer = render_footer(reply) or None
        try:
            await self._calls.call(
                ref.workspace, STOP_STREAM, channel=ref.channel, ts=ref.id,
                markdown_text=text[len(stream.shown) :] or None,
                blocks=footer, session_status="active" if footer else None,
            )  # fmt: skip
        except CallRefused as error:
            if error.code not in _ENDED | {"stopped_by_user"}:
                raise
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": error.code})
        except CallUnclear as error:
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": str(error)})
        else:
            return footer is not None
        stream.is_over = True
        await self._update(stream, reply, pacer)
        return False

    async def _mend(self, stream: SlackStream, reply: Reply, pacer: SlackPacer, why: str) -> None:
        """An edit of the whole message, where appending does not do."""
        log.info("slack.stream_mended", extra={"ts": stream.ref.id, "reason": why})
        if not stream.is_over:
            await self._end(stream)
            pacer.next_method = UPDATE_MESSAGE
        await self._update(stream, reply, pacer)

    async def _end(self, stream: SlackStream) -> None:
        """A message that still streams cannot be edited."""
        stream.is_over, ref = True, stream.ref
        try:
            await self._calls.call(ref.workspace, STOP_STREAM, channel=ref.channel, ts=ref.id)
        except (CallRefused, CallUnclear) as error:
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": str(error)})

    async def _update(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> None:
        ref, is_paid = stream.ref, pacer.use_turn(UPDATE_MESSAGE)
        content: dict[str, Any] = {"text": render_fallback_text(reply), "blocks": render_blocks(reply), "parse": "none"}
        call = partial(self._calls.call, ref.workspace, UPDATE_MESSAGE, channel=ref.channel, ts=ref.id, **content)
        try:
            await call(is_paid=is_paid)
        except CallRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            await self._end(stream)
            await call()
