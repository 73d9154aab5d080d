"""Slack's own streams: growing messages with a single writer each, repaired by edits after the end of the stream.

Two limits are documented nowhere and were measured by others: a stream ends some 300 seconds after the start
(github.com/slackapi/python-slack-sdk/issues/1859), and takes some 10,600 bytes in all (openclaw#143882).
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.platform import MessageFull
from bot.core.replies import MessageRef, Recipient, Reply, Tone
from bot.platforms.slack.errors import CallRefused, CallUnclear
from bot.platforms.slack.messages import render_blocks, render_fallback_text, render_footer
from bot.platforms.slack.mrkdwn import cut_unstable_end, neutralize_mentions
from bot.platforms.slack.pacing import APPEND_STREAM, START_STREAM, STOP_STREAM, UPDATE_MESSAGE, SlackPacer
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

MessageListener = Callable[[MessageRef], Awaitable[None]]

FULL_AFTER_SECONDS = 200.0
"""Age at which a stream moves on to a new message at the next good place, well before Slack ends the stream."""

# The workspace or the app has no streams.
_UNAVAILABLE = frozenset({
    "unknown_method", "feature_not_enabled", "method_deprecated", "deprecated_endpoint", "missing_scope",
    "no_permission", "team_not_found", "access_denied",
})  # fmt: skip
# The channel or the recipient takes no stream; an ordinary message may still be possible.
_UNSUPPORTED_HERE = frozenset({
    "channel_type_not_supported", "restricted_action", "restricted_action_thread_locked", "messages_tab_disabled",
    "restricted_action_non_threadable_channel", "restricted_action_read_only_channel", "user_not_found", "no_text",
    "restricted_action_thread_only_channel", "missing_recipient_user_id", "missing_recipient_team_id",
})  # fmt: skip
_ENDED = frozenset(
    {"message_not_in_streaming_state", "msg_too_long", "streaming_mode_mismatch", "streaming_state_conflict"}
)
_STOPPED_BY_USER = "stopped_by_user"
_UNAVAILABLE_SECONDS = 3600.0
_START_PATIENCE_SECONDS = 2.0
_STOP_PATIENCE_SECONDS = 0.3
_MAX_STREAMS = 5_000


@dataclass(slots=True)
class SlackStream:
    """A growing message. `shown` is the text confirmed by Slack. After the end (`is_over`) only edits work."""

    ref: MessageRef
    started_at_seconds: float
    shown: str
    is_over: bool = False
    is_full_reported: bool = False


class SlackStreams:
    """All live streams of this process. `on_stopped` is called with the message of a pressed Slack Stop button."""

    def __init__(self, web_api: SlackWebApi, clock: Clock, on_stopped: MessageListener) -> None:
        self._web_api = web_api
        self._clock = clock
        self._on_stopped = on_stopped
        # Bounded: a lost job never finishes a stream.
        self._streams: RecentItems[MessageRef, SlackStream] = RecentItems(_MAX_STREAMS)
        self._unavailable_until: dict[str, float] = {}

    def get(self, ref: MessageRef) -> SlackStream | None:
        return self._streams.get(ref)

    def is_available(self, team: str) -> bool:
        """Return False for an hour after a workspace refused streams in general."""
        return self._clock.monotonic() >= self._unavailable_until.get(team, float("-inf"))

    async def start(self, thread: MessageRef, recipient: Recipient, text: str) -> MessageRef | None:
        """Start a stream with `text` in a thread; return the new message, or None if no stream can start now.

        Raise `CallRefused` if Slack takes no message there at all.
        """
        team = thread.workspace
        rate_limit = self._web_api.rate_limits.get(team, START_STREAM)
        if not self.is_available(team) or not rate_limit.is_ready(_START_PATIENCE_SECONDS):
            return None
        # Slack's clock starts during the call, so take the time before.
        started_at = self._clock.monotonic()
        try:
            # Slack demands the recipient in channels, and accepts a recipient in direct messages.
            response = await self._web_api.call(
                team, START_STREAM, channel=thread.channel, thread_ts=thread.thread or None, markdown_text=text,
                recipient_user_id=recipient.user, recipient_team_id=recipient.workspace,
            )  # fmt: skip
        except CallRefused as error:
            if error.code in _UNAVAILABLE:
                log.warning("slack.streams_unavailable", extra={"team": team, "reason": error.code})
                self._unavailable_until[team] = self._clock.monotonic() + _UNAVAILABLE_SECONDS
                return None
            if error.code in _UNSUPPORTED_HERE:
                log.info("slack.stream_unsupported", extra={"channel": thread.channel, "reason": error.code})
                return None
            raise
        ref = MessageRef(thread.platform, team, thread.channel, thread.thread, str(response["ts"]))
        self._streams[ref] = SlackStream(ref, started_at, text)
        return ref

    async def update(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> bool:
        """Show a reply in a stream; a final reply ends the stream. Raise `MessageFull` after `FULL_AFTER_SECONDS`.

        Return whether the call ended the thread's session as well.
        """
        if reply.tone is not Tone.WORKING:
            is_session_ended = await self._finish(stream, reply, pacer)
            self.forget(stream.ref)
            return is_session_ended
        if stream.is_over:
            await self._update(stream, reply, pacer)
        else:
            await self._grow(stream, reply, pacer)
        return False

    def forget(self, ref: MessageRef) -> None:
        self._streams.pop(ref, None)

    async def _grow(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> None:
        if not stream.is_full_reported and self._clock.monotonic() - stream.started_at_seconds >= FULL_AFTER_SECONDS:
            # Report once: afterwards the caller sends the text up to the cut into this stream.
            stream.is_full_reported = True
            raise MessageFull
        text = cut_unstable_end(neutralize_mentions(reply.text))
        if not text.startswith(stream.shown):
            if not stream.shown.startswith(text):
                await self._repair(stream, reply, pacer, "text changed")
            return
        if text == stream.shown:
            return
        if await self._append(stream, text, has_turn=pacer.use_turn(APPEND_STREAM)):
            return
        pacer.switch_to_updates()
        await self._update(stream, reply, pacer)

    async def _append(self, stream: SlackStream, text: str, *, has_turn: bool) -> bool:
        """Append the new part of `text`; return False if the stream is over."""
        ref, tail = stream.ref, text[len(stream.shown) :]
        try:
            await self._web_api.call(
                ref.workspace, APPEND_STREAM, has_turn=has_turn, channel=ref.channel, ts=ref.id, markdown_text=tail
            )
        except CallRefused as error:
            if error.code == _STOPPED_BY_USER:
                stream.is_over = True
                await self._on_stopped(ref)
                return False
            if error.code not in _ENDED:
                raise
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": error.code})
        except CallUnclear as error:
            # A second append could show the text twice; an edit cannot.
            log.info("slack.append_unclear", extra={"ts": ref.id, "reason": str(error)})
        else:
            stream.shown = text
            return True
        await self._end(stream)
        return False

    async def _finish(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> bool:
        text = neutralize_mentions(reply.text)
        if stream.is_over or not text.startswith(stream.shown):
            await self._repair(stream, reply, pacer, "final reply")
            return False
        ref, footer = stream.ref, render_footer(reply) or None
        # Few streams may stop at once (tier 2): while the stop waits, an append shows the rest of the text already.
        is_ready = self._web_api.rate_limits.get(ref.workspace, STOP_STREAM).is_ready(_STOP_PATIENCE_SECONDS)
        if (
            not is_ready
            and text != stream.shown
            and not await self._append(stream, text, has_turn=pacer.use_turn(APPEND_STREAM))
        ):
            await self._update(stream, reply, pacer)
            return False
        try:
            await self._web_api.call(
                ref.workspace, STOP_STREAM, channel=ref.channel, ts=ref.id,
                markdown_text=text[len(stream.shown) :] or None,
                blocks=footer, session_status="active" if footer else None,
            )  # fmt: skip
        except CallRefused as error:
            if error.code not in _ENDED | {_STOPPED_BY_USER}:
                raise
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": error.code})
        except CallUnclear as error:
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": str(error)})
        else:
            return footer is not None
        stream.is_over = True
        await self._update(stream, reply, pacer)
        return False

    async def _repair(self, stream: SlackStream, reply: Reply, pacer: SlackPacer, reason: str) -> None:
        """Edit the whole message, where the shown text is not a beginning of the new text."""
        log.info("slack.stream_repaired", extra={"ts": stream.ref.id, "reason": reason})
        if not stream.is_over:
            await self._end(stream)
            pacer.switch_to_updates()
        await self._update(stream, reply, pacer)

    async def _end(self, stream: SlackStream) -> None:
        # Slack refuses edits of a streaming message (`streaming_state_conflict`).
        stream.is_over, ref = True, stream.ref
        try:
            await self._web_api.call(ref.workspace, STOP_STREAM, channel=ref.channel, ts=ref.id)
        except (CallRefused, CallUnclear) as error:
            log.info("slack.stream_ended", extra={"ts": ref.id, "reason": str(error)})

    async def _update(self, stream: SlackStream, reply: Reply, pacer: SlackPacer) -> None:
        ref, has_turn = stream.ref, pacer.use_turn(UPDATE_MESSAGE)
        # chat.update sets `parse` to `client` by default, which may turn plain text into mentions.
        content: dict[str, Any] = {"text": render_fallback_text(reply), "blocks": render_blocks(reply), "parse": "none"}
        call = partial(self._web_api.call, ref.workspace, UPDATE_MESSAGE, channel=ref.channel, ts=ref.id, **content)
        try:
            await call(has_turn=has_turn)
        except CallRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            await self._end(stream)
            await call()
