"""Slack as a platform: messages posted, edited, streamed and taken away."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from bot.core.clock import Clock
from bot.core.people import Channel
from bot.core.platform import Destination, MessageFull, MessageLimits
from bot.core.replies import MessageRef, Recipient, Reply, Tone
from bot.platforms.slack.ephemeral import SlackEphemeralReplies
from bot.platforms.slack.errors import UNREACHABLE_CODES, SlackErrors
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.messages import (
    MESSAGE_BYTES,
    UPDATE_BYTES,
    ReplyTransform,
    render_blocks,
    render_fallback_text,
)
from bot.platforms.slack.mrkdwn import cut_unstable_end, neutralize_mentions
from bot.platforms.slack.pacing import APPEND_STREAM, POST_MESSAGE, STOP_STREAM, UPDATE_MESSAGE, SlackPacer
from bot.platforms.slack.status import SlackStatuses
from bot.platforms.slack.streams import SlackStreams
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.unconfirmed_posts import METADATA_EVENT_TYPE, UnconfirmedPosts
from bot.platforms.slack.uploads import PathOf, SlackUploads
from bot.platforms.slack.web_api import UNINSTALLED_CODES, CallRefused, CallUnclear, SlackWebApi, ignore_refusal
from bot.storage.database import Database

log = logging.getLogger(__name__)

_REMEMBERED = 10_000
Listener = Callable[[MessageRef], Awaitable[None]]


class SlackPlatform:
    """Implements `core.platform.Platform`.

    `on_finished` is called with each message that shows a final reply, `on_stopped` with each message on which a user
    pressed Slack's own Stop.
    """

    name = NAME
    limits = MessageLimits(max_length=MESSAGE_BYTES, is_length_in_bytes=True, is_append_only=True)

    def __init__(
        self,
        calls: SlackWebApi,
        teams: SlackTeams,
        database: Database,
        path_of: PathOf,
        clock: Clock,
        tasks: Tasks,
        *,
        worded: ReplyTransform,
        on_finished: Listener,
        on_stopped: Listener,
    ) -> None:
        self._calls = calls
        self._lost = UnconfirmedPosts(calls, teams, database, clock)
        self._clock = clock
        self.ephemeral_replies = SlackEphemeralReplies(calls, clock, worded)
        self.errors = SlackErrors(teams)
        self.uploads = SlackUploads(calls, database, path_of, clock)
        self.streams = SlackStreams(calls, clock, on_stopped)
        self.statuses = SlackStatuses(calls, clock, tasks)
        self._on_finished = on_finished
        self._posted: OrderedDict[str, MessageRef] = OrderedDict()
        self._pacers: WeakValueDictionary[MessageRef, SlackPacer] = WeakValueDictionary()
        self._directs: dict[tuple[str, str], str] = {}

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message; a second call with the same nonce gives the first one's address.

        Words that will stream in are shown as a status until they come. Raises `MessageLost` and `MessageFull`.
        """
        if (known := self._posted.get(destination.nonce)) is not None:
            return known
        try:
            ref = await self._create(destination, reply)
        except CallRefused as error:
            self._let_go(_place(destination), error.code)
            await self._tell_asker(destination, error.code)
            raise await self.errors.translate(destination.channel.workspace, error, destination.channel.id) from error
        self._posted[destination.nonce] = ref
        while len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)
        if reply.tone in (Tone.DONE, Tone.ERROR):
            await self._on_finished(ref)
        return ref

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Show this instead, by whatever means reaches the message. Raises `MessageLost` and `MessageFull`."""
        try:
            moved = await self._show(message, reply)
        except CallRefused as error:
            self._let_go(message, error.code)
            raise await self.errors.translate(message.workspace, error, message.channel) from error
        if reply.tone in (Tone.DONE, Tone.ERROR):
            await self._on_finished(moved or message)
        return moved

    def _let_go(self, message: MessageRef, code: str) -> None:
        if code in UNREACHABLE_CODES:
            self.streams.forget(message)
            self.statuses.drop(message)

    async def delete(self, message: MessageRef) -> None:
        """Take a message away, with its files. Harmless when it is gone, or was never there."""
        self.streams.forget(message)
        if message.unposted_for is not None:
            self.statuses.clear(message, is_posted=False)
            return
        try:
            await self._calls.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id)
        except CallRefused as error:
            if error.code not in ("message_not_found", "channel_not_found", *UNINSTALLED_CODES):
                raise
        await self.uploads.delete_files(message)

    def pacer(self, message: MessageRef) -> SlackPacer:
        if (pacer := self._pacers.get(message)) is None:
            pacer = self._pacers[message] = SlackPacer(self._calls.rate_limits, self._clock, message.workspace)
            stream = self.streams.get(message)
            if stream is not None and not stream.is_over:
                pacer.next_method = APPEND_STREAM
            elif message.unposted_for is None:
                pacer.next_method = pacer.final_method = UPDATE_MESSAGE
        return pacer

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Somebody's DM with the app; None where it cannot be opened."""
        if (workspace, user) not in self._directs:
            answer = await ignore_refusal(self._calls.call(workspace, "conversations.open", users=user))
            if answer is None:
                return None
            self._directs[workspace, user] = str(answer["channel"]["id"])
        return Channel(NAME, workspace, self._directs[workspace, user])

    # Posting.

    async def _create(self, destination: Destination, reply: Reply) -> MessageRef:
        place = _place(destination)
        if destination.placeholder is not None:
            await self._show(destination.placeholder, reply)
            return destination.placeholder
        if not (destination.is_streamed and place.thread and self.streams.is_available(place.workspace)):
            return await self._plain(place, reply, destination.nonce, is_growing=destination.is_streamed)
        recipient = Recipient(destination.user.id, destination.user.workspace)
        waiting = MessageRef(
            NAME,
            place.workspace,
            place.channel,
            place.thread,
            destination.nonce,
            unposted_for=recipient,
        )
        return await self._show_waiting(waiting, recipient, reply) or waiting

    async def _plain(self, place: MessageRef, reply: Reply, nonce: str, *, is_growing: bool = False) -> MessageRef:
        """An ordinary message. One that will be edited holds less than one that stays as it is."""
        if is_growing and reply.tone is Tone.WORKING and len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        ref, is_new = await self.post_or_find(
            place, nonce, text=render_fallback_text(reply), blocks=render_blocks(reply)
        )
        self.statuses.clear(place, is_posted=True)
        if not is_new:
            await self._update(ref, reply)
        return ref

    async def post_or_find(self, place: MessageRef, nonce: str, **content: Any) -> tuple[MessageRef, bool]:
        """Post a message, or find the one with that nonce. Gives where it is, and whether it was posted just now."""
        content |= {
            "channel": place.channel, "thread_ts": place.thread or None, "unfurl_links": False, "unfurl_media": False,
            "metadata": {"event_type": METADATA_EVENT_TYPE, "event_payload": {"nonce": nonce}} if nonce else None,
        }  # fmt: skip
        found = await self._lost.find_post(place, nonce) if self._lost.is_from_previous_process(nonce) else ""
        try:
            ts = found or str((await self._calls.call(place.workspace, POST_MESSAGE, **content))["ts"])
        except CallUnclear:
            ts = await self._lost.find_post(place, nonce) or str(
                (await self._calls.call(place.workspace, POST_MESSAGE, **content))["ts"]
            )
        return MessageRef(NAME, place.workspace, place.channel, place.thread, ts), not found

    async def _tell_asker(self, destination: Destination, code: str) -> None:
        """Nothing can be posted there: only the person who asked can be told, and only by what they did."""
        aside = self.ephemeral_replies.take(destination.request_key)
        if aside is not None:
            text = await self.errors.explain(destination.channel.workspace, code, destination.channel.id)
            await self.ephemeral_replies.send(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))

    # Editing.

    async def _show(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        if message.unposted_for is not None:
            return await self._show_waiting(message, message.unposted_for, reply)
        if (stream := self.streams.get(message)) is not None:
            is_at_rest = await self.streams.update(stream, reply, self.pacer(message))
            if reply.tone in (Tone.DONE, Tone.ERROR) and not is_at_rest:
                self.statuses.end_session(message)
            return None
        if reply.pictures:
            return await self._show_pictures(message, reply)
        if len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        await self._update(message, reply)
        return None

    async def _show_waiting(self, message: MessageRef, recipient: Recipient, reply: Reply) -> MessageRef | None:
        """A status while there are no words; with the first a stream, or an ordinary message if those are the last."""
        nonce, is_whole = message.id, reply.tone is not Tone.WORKING
        text = neutralize_mentions(reply.text) if is_whole else cut_unstable_end(neutralize_mentions(reply.text))
        if not text.strip() and not is_whole:
            self.statuses.show(message, reply.progress)
            return None
        if self._lost.is_from_previous_process(nonce) and (found := await self._found(message, reply, text)):
            return found
        if is_whole:
            return await self._say_whole(message, recipient, reply)
        try:
            started = await self.streams.start(message, recipient, text)
        except CallUnclear:
            if (found := await self._found(message, reply, text)) is None:
                raise
            return found
        if started is None:
            return await self._plain(message, reply, nonce, is_growing=True)
        self.statuses.clear(message, is_posted=True)
        return started

    async def _found(self, waiting: MessageRef, reply: Reply, text: str) -> MessageRef | None:
        """The orphan, if there is one, with the reply in it."""
        orphan = await self._lost.find_stream(waiting, text)
        if orphan is not None:
            self.statuses.clear(waiting, is_posted=True)
            await self._update(orphan, replace(reply, text=text))
        return orphan

    async def _say_whole(self, message: MessageRef, recipient: Recipient, reply: Reply) -> MessageRef:
        """A text that is complete. A channel takes one post a second: when that is used up, a short stream does it."""
        text = neutralize_mentions(reply.text)
        if text.strip() and not self._calls.rate_limits.get(message.workspace, POST_MESSAGE, message.channel).is_ready(
            0.1
        ):
            started = await self.streams.start(message, recipient, text)
            if started is not None:
                self.statuses.clear(message, is_posted=True)
                await self._show(started, reply)
                return started
        ref = await self._plain(message, reply, message.id)
        if reply.tone in (Tone.DONE, Tone.ERROR):
            self.statuses.end_session(message)
        return ref

    async def _show_pictures(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """The pictures on the message itself; where Slack does not take them there, in one of their own instead."""
        pictures = [picture for picture in reply.pictures if not picture.is_flagged]
        files = await self.uploads.ensure_uploaded(message, pictures)
        try:
            await self._update(message, reply, file_ids=files)
        except CallRefused as error:
            if error.code in UNREACHABLE_CODES or not files:
                raise
            log.warning("slack.files_not_taken", extra={"ts": message.id, "reason": error.code})
        else:
            return None
        ts = await self.uploads.post_pictures(message, pictures, render_blocks(reply))
        await ignore_refusal(self._calls.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id))
        return MessageRef(NAME, message.workspace, message.channel, message.thread, ts)

    async def _update(self, message: MessageRef, reply: Reply, file_ids: list[str] | None = None) -> None:
        content: dict[str, Any] = {
            "channel": message.channel, "ts": message.id, "text": render_fallback_text(reply),
            "blocks": render_blocks(reply),
            "parse": "none", "file_ids": file_ids or None,
        }  # fmt: skip
        is_paid = self.pacer(message).use_turn(UPDATE_MESSAGE)
        try:
            await self._calls.call(message.workspace, UPDATE_MESSAGE, is_paid=is_paid, **content)
        except CallRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            # A process that is gone now was streaming it. From here on it has our own Stop, in the place of Slack's.
            await ignore_refusal(
                self._calls.call(message.workspace, STOP_STREAM, channel=message.channel, ts=message.id)
            )
            self.statuses.end_session(message)
            await self._calls.call(message.workspace, UPDATE_MESSAGE, **content)


def _place(destination: Destination) -> MessageRef:
    channel = destination.channel
    return MessageRef(NAME, channel.workspace, channel.id, channel.thread, "")
