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
from bot.core.replies import MessageRef, Reply, Tone
from bot.platforms.slack.asides import Asides
from bot.platforms.slack.calls import GONE, CallRefused, Calls, CallUnclear, let_pass
from bot.platforms.slack.lost import METADATA, WAITING, Lost, nonce_of
from bot.platforms.slack.messages import MESSAGE_BYTES, UPDATE_BYTES, blocks_of, fallback_text
from bot.platforms.slack.mrkdwn import defused, settled
from bot.platforms.slack.pacing import APPEND, POST, STOP, UPDATE, SlackPacer
from bot.platforms.slack.prefix import Worded
from bot.platforms.slack.refusals import LOST, Refusals
from bot.platforms.slack.status import Statuses
from bot.platforms.slack.streams import Recipient, Streams
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.teams import NAME, Teams
from bot.platforms.slack.uploads import PathOf, Uploads
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
    limits = MessageLimits(text=MESSAGE_BYTES, text_in_bytes=True, pictures=10, appends=True)

    def __init__(
        self,
        calls: Calls,
        teams: Teams,
        database: Database,
        path_of: PathOf,
        clock: Clock,
        tasks: Tasks,
        *,
        worded: Worded,
        on_finished: Listener,
        on_stopped: Listener,
    ) -> None:
        self._calls = calls
        self._lost = Lost(calls, teams, database, clock)
        self._clock = clock
        self.asides = Asides(calls, clock, worded)
        self.refusals = Refusals(teams)
        self.uploads = Uploads(calls, database, path_of, clock)
        self.streams = Streams(calls, clock, on_stopped)
        self.statuses = Statuses(calls, clock, tasks)
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
            raise await self.refusals.meant(destination.channel.workspace, error, destination.channel.id) from error
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
            raise await self.refusals.meant(message.workspace, error, message.channel) from error
        if reply.tone in (Tone.DONE, Tone.ERROR):
            await self._on_finished(moved or message)
        return moved

    def _let_go(self, message: MessageRef, code: str) -> None:
        if code in LOST:
            self.streams.forget(message)
            self.statuses.drop(message)

    async def delete(self, message: MessageRef) -> None:
        """Take a message away, with its files. Harmless when it is gone, or was never there."""
        self.streams.forget(message)
        if message.id.startswith(WAITING):
            self.statuses.clear(message, is_posted=False)
            return
        try:
            await self._calls.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id)
        except CallRefused as error:
            if error.code not in ("message_not_found", "channel_not_found", *GONE):
                raise
        await self.uploads.remove(message)

    def pacer(self, message: MessageRef) -> SlackPacer:
        if (pacer := self._pacers.get(message)) is None:
            pacer = self._pacers[message] = SlackPacer(self._calls.budgets, self._clock, message.workspace)
            stream = self.streams.get(message)
            if stream is not None and not stream.is_over:
                pacer.method = APPEND
            elif not message.id.startswith(WAITING):
                pacer.method = pacer.final_method = UPDATE
        return pacer

    async def direct(self, workspace: str, user: str) -> Channel | None:
        """Somebody's DM with the app; None where it cannot be opened."""
        if (workspace, user) not in self._directs:
            answer = await let_pass(self._calls.call(workspace, "conversations.open", users=user))
            if answer is None:
                return None
            self._directs[workspace, user] = str(answer["channel"]["id"])
        return Channel(NAME, workspace, self._directs[workspace, user])

    # Posting.

    async def _create(self, destination: Destination, reply: Reply) -> MessageRef:
        place = _place(destination)
        if destination.answering is not None:
            await self._show(destination.answering, reply)
            return destination.answering
        if not (destination.grows and place.thread and self.streams.is_possible(place.workspace)):
            return await self._plain(place, reply, destination.nonce, is_growing=destination.grows)
        user = destination.user
        waiting = MessageRef(
            NAME,
            place.workspace,
            place.channel,
            place.thread,
            WAITING.join(("", user.id, user.workspace, destination.nonce)),
        )
        return await self._show_waiting(waiting, reply) or waiting

    async def _plain(self, place: MessageRef, reply: Reply, nonce: str, *, is_growing: bool = False) -> MessageRef:
        """An ordinary message. One that will be edited holds less than one that stays as it is."""
        if is_growing and reply.tone is Tone.WORKING and len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        ref, is_new = await self.say(place, nonce, text=fallback_text(reply), blocks=blocks_of(reply))
        self.statuses.clear(place, is_posted=True)
        if not is_new:
            await self._update(ref, reply)
        return ref

    async def say(self, place: MessageRef, nonce: str, **content: Any) -> tuple[MessageRef, bool]:
        """Post a message, or find the one with that nonce. Gives where it is, and whether it was posted just now."""
        content |= {
            "channel": place.channel, "thread_ts": place.thread or None, "unfurl_links": False, "unfurl_media": False,
            "metadata": {"event_type": METADATA, "event_payload": {"nonce": nonce}} if nonce else None,
        }  # fmt: skip
        found = await self._lost.post(place, nonce) if self._lost.is_from_before(nonce) else ""
        try:
            ts = found or str((await self._calls.call(place.workspace, POST, **content))["ts"])
        except CallUnclear:
            ts = await self._lost.post(place, nonce) or str(
                (await self._calls.call(place.workspace, POST, **content))["ts"]
            )
        return MessageRef(NAME, place.workspace, place.channel, place.thread, ts), not found

    async def _tell_asker(self, destination: Destination, code: str) -> None:
        """Nothing can be posted there: only the person who asked can be told, and only by what they did."""
        aside = self.asides.forget(destination.request_key)
        if aside is not None:
            text = await self.refusals.why(destination.channel.workspace, code, destination.channel.id)
            await self.asides.tell(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))

    # Editing.

    async def _show(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        if message.id.startswith(WAITING):
            return await self._show_waiting(message, reply)
        if (stream := self.streams.get(message)) is not None:
            is_at_rest = await self.streams.show(stream, reply, self.pacer(message))
            if reply.tone in (Tone.DONE, Tone.ERROR) and not is_at_rest:
                self.statuses.rest(message)
            return None
        if reply.pictures:
            return await self._show_pictures(message, reply)
        if len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        await self._update(message, reply)
        return None

    async def _show_waiting(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """A status while there are no words; with the first a stream, or an ordinary message if those are the last."""
        nonce, is_whole = nonce_of(message), reply.tone is not Tone.WORKING
        text = defused(reply.text) if is_whole else settled(defused(reply.text))
        if not text.strip() and not is_whole:
            self.statuses.show(message, reply.progress)
            return None
        if self._lost.is_from_before(nonce) and (found := await self._found(message, reply, text)):
            return found
        if is_whole:
            return await self._say_whole(message, reply, nonce)
        try:
            started = await self.streams.start(message, _recipient(message), text)
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
        orphan = await self._lost.stream(waiting, text)
        if orphan is not None:
            self.statuses.clear(waiting, is_posted=True)
            await self._update(orphan, replace(reply, text=text))
        return orphan

    async def _say_whole(self, message: MessageRef, reply: Reply, nonce: str) -> MessageRef:
        """A text that is complete. A channel takes one post a second: when that is used up, a short stream does it."""
        text = defused(reply.text)
        if text.strip() and not self._calls.budgets.of(message.workspace, POST, message.channel).is_ready(0.1):
            started = await self.streams.start(message, _recipient(message), text)
            if started is not None:
                self.statuses.clear(message, is_posted=True)
                await self._show(started, reply)
                return started
        ref = await self._plain(message, reply, nonce)
        if reply.tone in (Tone.DONE, Tone.ERROR):
            self.statuses.rest(message)
        return ref

    async def _show_pictures(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """The pictures on the message itself; where Slack does not take them there, in one of their own instead."""
        pictures = [picture for picture in reply.pictures if not picture.is_flagged]
        files = await self.uploads.ids(message, pictures)
        try:
            await self._update(message, reply, file_ids=files)
        except CallRefused as error:
            if error.code in LOST or not files:
                raise
            log.warning("slack.files_not_taken", extra={"ts": message.id, "reason": error.code})
        else:
            return None
        ts = await self.uploads.post(message, pictures, blocks_of(reply))
        await let_pass(self._calls.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id))
        return MessageRef(NAME, message.workspace, message.channel, message.thread, ts)

    async def _update(self, message: MessageRef, reply: Reply, file_ids: list[str] | None = None) -> None:
        content: dict[str, Any] = {
            "channel": message.channel, "ts": message.id, "text": fallback_text(reply), "blocks": blocks_of(reply),
            "parse": "none", "file_ids": file_ids or None,
        }  # fmt: skip
        is_paid = self.pacer(message).pay(UPDATE)
        try:
            await self._calls.call(message.workspace, UPDATE, is_paid=is_paid, **content)
        except CallRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            # A process that is gone now was streaming it. From here on it has our own Stop, in the place of Slack's.
            await let_pass(self._calls.call(message.workspace, STOP, channel=message.channel, ts=message.id))
            self.statuses.rest(message)
            await self._calls.call(message.workspace, UPDATE, **content)


def _recipient(waiting: MessageRef) -> Recipient:
    _, user, team, *_ = waiting.id.split(WAITING)
    return Recipient(user, team)


def _place(destination: Destination) -> MessageRef:
    channel = destination.channel
    return MessageRef(NAME, channel.workspace, channel.id, channel.thread, "")
