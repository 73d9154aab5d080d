"""One reader of the page: which messages they have yet to be shown, and what they saw of each."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.replies import Tone
from bot.platforms.web.messages import MessageJson, compute_difference, message_to_json
from bot.storage.web_page import PageMessage


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """A message that was taken away."""

    channel: str
    id: str


FeedChange: TypeAlias = PageMessage | DeletedMessage


class FeedReader:
    """A queue that cannot overflow: each changed message stands in it once, and a slow reader gets its latest state."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._shown: dict[str, MessageJson] = {}
        self._woken = asyncio.Event()
        self.is_closed = False

    def mark_changed(self, message_id: str) -> None:
        """Note that a message changed."""
        self._changed[message_id] = None
        self._woken.set()

    def close(self) -> None:
        """Wake the reader for the last time."""
        self.is_closed = True
        self._woken.set()

    async def wait_for_changes(self, timeout_seconds: float) -> list[str]:
        """Ids of the messages that changed, in order; empty after `patience` seconds without any, or when closed."""
        if not self._changed and not self.is_closed:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._woken.wait()
            except TimeoutError:
                return []
        self._woken.clear()
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def take_snapshot(self, messages: list[PageMessage]) -> list[MessageJson]:
        """Everything, as the reader is about to see it."""
        self._shown.clear()
        return [self._remember_shown(message) for message in messages]

    def build_event(self, message: FeedChange) -> bytes | None:
        """One SSE event: only the difference where the reader knows the message; None when there is none."""
        if isinstance(message, DeletedMessage):
            self._shown.pop(message.id, None)
            return format_sse_event("gone", {"id": message.id})
        before = self._shown.get(message.id)
        after = self._remember_shown(message)
        if before is None:
            return format_sse_event("message", after)
        changed = compute_difference(before, after)
        return format_sse_event("change", changed) if len(changed) > 1 else None

    def _remember_shown(self, message: PageMessage) -> MessageJson:
        shown = message_to_json(message)
        # What is finished rarely changes again: keeping it would cost each reader the whole conversation.
        if message.reply.tone is Tone.WORKING:
            self._shown[message.id] = shown
        else:
            self._shown.pop(message.id, None)
        return shown


def format_sse_event(name: str, data: JSON | MessageJson | list[MessageJson], position: str = "") -> bytes:
    """One event in SSE's own form."""
    head = f"id: {position}\n" if position else ""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {body}\n\n".encode("utf-8", "replace")


# MERGED What changed on the page lately, and who is watching: the page's own little gateway.

_MESSAGES_REMEMBERED = 200
_CHANNELS_REMEMBERED = 256


class _ChannelFeed:
    """The latest state of each message that changed in one channel, oldest change first."""

    def __init__(self) -> None:
        self.recent: OrderedDict[str, tuple[int, FeedChange]] = OrderedDict()
        self.forgotten_up_to = 0
        self.readers: set[FeedReader] = set()

    def remember(self, number: int, message: FeedChange) -> None:
        self.recent[message.id] = (number, message)
        self.recent.move_to_end(message.id)
        while len(self.recent) > _MESSAGES_REMEMBERED:
            _, (self.forgotten_up_to, _) = self.recent.popitem(last=False)


class Feed:
    """Numbers every change. A reader who names the last number they saw gets what changed since."""

    def __init__(self) -> None:
        self._start = new_id()  # numbers begin again with each start, so they carry its name
        self._number = 0
        self._channels: OrderedDict[str, _ChannelFeed] = OrderedDict()

    @property
    def position(self) -> str:
        """The name of the latest change, as an SSE id."""
        return f"{self._start}.{self._number}"

    def publish(self, message: FeedChange) -> None:
        """Remember a message as it is now, or that it is gone, and tell everyone who watches its channel."""
        self._number += 1
        channel = self._channel(message.channel)
        channel.remember(self._number, message)
        for stream in channel.readers:
            stream.mark_changed(message.id)
        self._forget_old_channels()

    def get(self, channel: str, message_id: str) -> FeedChange | None:
        """A message as it is now, if it changed lately."""
        found = self._channels[channel].recent.get(message_id) if channel in self._channels else None
        return found[1] if found else None

    def apply_changes(self, channel: str, stored: Iterable[PageMessage]) -> list[PageMessage]:
        """Stored messages as they are now: what is still growing is only here."""
        latest = [self.get(channel, message.id) or message for message in stored]
        return [message for message in latest if not isinstance(message, DeletedMessage)]

    def get_changes_since(self, channel: str, position: str) -> list[FeedChange] | None:
        """Messages that changed after a position; None when that is too long ago to tell."""
        start, _, number = position.rpartition(".")
        feed = self._channels.get(channel)
        if start != self._start or not number.isdecimal() or feed is None or int(number) < feed.forgotten_up_to:
            return None
        return [message for at, message in feed.recent.values() if at > int(number)]

    def open(self, channel: str) -> FeedReader:
        """Begin to watch a channel."""
        stream = FeedReader()
        self._channel(channel).readers.add(stream)
        return stream

    def close(self, channel: str, stream: FeedReader) -> None:
        """Stop watching."""
        stream.close()
        if channel in self._channels:
            self._channels[channel].readers.discard(stream)

    def close_user(self, person: str) -> None:
        """End the streams of somebody's channels."""
        for name, channel in self._channels.items():
            if name.startswith(f"{person}."):
                for stream in channel.readers:
                    stream.close()

    def close_all(self) -> None:
        """End every stream: each reader is told that we are going."""
        for channel in self._channels.values():
            for stream in channel.readers:
                stream.close()

    def _channel(self, channel: str) -> _ChannelFeed:
        feed = self._channels.setdefault(channel, _ChannelFeed())
        self._channels.move_to_end(channel)
        return feed

    def _forget_old_channels(self) -> None:
        unwatched = [name for name, feed in self._channels.items() if not feed.readers]
        for name in unwatched[: max(0, len(self._channels) - _CHANNELS_REMEMBERED)]:
            del self._channels[name]
