"""The page's live changes: numbers each change of a message, and keeps what each reader of a channel has yet to see."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.caches import RecentItems
from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.limits import MAX_FEED_CHARACTERS
from bot.core.replies import Tone
from bot.platforms.web.messages import MessageJson, compute_difference, message_to_json
from bot.storage.web_page import PageMessage, count_characters, without_file_contents

# A reader with an older position gets a snapshot instead of changes.
_MAX_RECENT_MESSAGES = 200
_MAX_UNWATCHED_CHANNELS = 256


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """The change of a message that was deleted."""

    channel: str
    id: str


FeedChange: TypeAlias = PageMessage | DeletedMessage


class FeedReader:
    """The changes for a single event stream. Each changed message is queued once: a slow reader gets the last state."""

    def __init__(self) -> None:
        self._changed_ids: dict[str, None] = {}
        self._seen: dict[str, MessageJson] = {}
        self._wakeup = asyncio.Event()
        self.is_closed = False

    def mark_changed(self, message_id: str) -> None:
        """Queue a message, unless queued already, and wake the reader."""
        self._changed_ids[message_id] = None
        self._wakeup.set()

    def close(self) -> None:
        """Wake the reader for the last time."""
        self.is_closed = True
        self._wakeup.set()

    async def wait_for_changes(self, timeout_seconds: float) -> list[str]:
        """Return the ids of changed messages in order; an empty list after the timeout or when closed."""
        if not self._changed_ids and not self.is_closed:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._wakeup.wait()
            except TimeoutError:
                return []
        # No await from here to the end: a change in between would be lost.
        self._wakeup.clear()
        changed_ids = list(self._changed_ids)
        self._changed_ids.clear()
        return changed_ids

    @property
    def is_following(self) -> bool:
        """Whether the reader has seen a message that still grows, and so gets differences."""
        return bool(self._seen)

    def take_snapshot(self, messages: list[PageMessage]) -> list[MessageJson]:
        """Return all messages as JSON, and note the reader as having seen them."""
        self._seen.clear()
        return [self._note_seen(message) for message in messages]

    def build_event(self, change: FeedChange) -> bytes | None:
        """Return a server-sent event: the difference if the reader knows the message; None without a difference."""
        if isinstance(change, DeletedMessage):
            self._seen.pop(change.id, None)
            return format_sse_event("gone", {"id": change.id})
        before = self._seen.get(change.id)
        after = self._note_seen(change)
        if before is None:
            return format_sse_event("message", after)
        difference = compute_difference(before, after)
        return format_sse_event("change", difference) if len(difference) > 1 else None

    def _note_seen(self, message: PageMessage) -> MessageJson:
        seen = message_to_json(message)
        # A finished message rarely changes: keeping all would hold the whole conversation in memory for each reader.
        if message.reply.tone is Tone.WORKING:
            self._seen[message.id] = seen
        else:
            self._seen.pop(message.id, None)
        return seen


class _ChannelFeed:
    """The last state of each recently changed message of a channel, and the channel's readers."""

    def __init__(self) -> None:
        self.recent = RecentItems[str, tuple[int, FeedChange]](_MAX_RECENT_MESSAGES, self._note_evicted)
        self.last_evicted_number = 0
        self.readers: set[FeedReader] = set()
        self.version = object()

    def _note_evicted(self, _: str, item: tuple[int, FeedChange]) -> None:
        self.last_evicted_number = item[0]


class Feed:
    """Numbers every change. A reader with the number of the last seen change gets all later changes."""

    def __init__(self) -> None:
        # Numbers begin again with each process: the prefix tells a position of an earlier process apart.
        self._process_id = new_id()
        self._number = 0
        self._channels = RecentItems[str, _ChannelFeed](
            _MAX_UNWATCHED_CHANNELS, is_pinned=lambda channel: bool(channel.readers)
        )
        # The lengths of finished messages by channel and id, the longest unchanged first.
        self._lengths: dict[tuple[str, str], int] = {}
        self._characters = 0

    @property
    def position(self) -> str:
        """The id of the latest change, for SSE's `id` field."""
        return f"{self._process_id}.{self._number}"

    def publish(self, change: FeedChange) -> None:
        """Note a message's new state or deletion, and wake the readers of the channel."""
        self._number += 1
        change = change if isinstance(change, DeletedMessage) else without_file_contents(change)
        channel = self._get_or_create(change.channel)
        channel.recent[change.id] = (self._number, change)
        channel.version = object()
        self._bound_memory(change)
        for reader in channel.readers:
            reader.mark_changed(change.id)

    def get(self, channel: str, message_id: str) -> FeedChange | None:
        """Return a message's last change, None if the feed has none."""
        item = self._channels[channel].recent.get(message_id) if channel in self._channels else None
        return item[1] if item else None

    def get_version(self, channel: str) -> object:
        """Return an object that each change of the channel's messages replaces."""
        return self._get_or_create(channel).version

    def apply_changes(self, channel: str, stored: Iterable[PageMessage]) -> list[PageMessage]:
        """Return stored messages in the last state: the database lacks the text of messages still growing."""
        latest = [self.get(channel, message.id) or message for message in stored]
        return [message for message in latest if not isinstance(message, DeletedMessage)]

    def get_changes_since(self, channel: str, position: str) -> list[FeedChange] | None:
        """Return the messages changed after a position; None if the feed does not reach back so far."""
        process_id, _, number = position.rpartition(".")
        feed = self._channels.get(channel)
        if process_id != self._process_id or not number.isdecimal() or feed is None:
            return None
        if int(number) < feed.last_evicted_number:
            return None
        return [change for at, change in feed.recent.values() if at > int(number)]

    def open(self, channel: str) -> FeedReader:
        """Return a new reader of a channel. `close` the reader at the end."""
        reader = FeedReader()
        self._get_or_create(channel).readers.add(reader)
        return reader

    def close(self, channel: str, reader: FeedReader) -> None:
        reader.close()
        if channel in self._channels:
            self._channels[channel].readers.discard(reader)

    def close_user(self, user_id: str) -> None:
        """End the streams of a user's channels, for example of a removed user."""
        for name, channel in self._channels.items():
            if name.startswith(f"{user_id}."):
                for reader in channel.readers:
                    reader.close()

    def close_all(self) -> None:
        """End every stream: the bot is stopping."""
        for channel in self._channels.values():
            for reader in channel.readers:
                reader.close()

    def _bound_memory(self, change: FeedChange) -> None:
        """Forget the longest unchanged finished messages beyond `MAX_FEED_CHARACTERS`: the database has each of them.

        A deletion must be remembered against a late edit, and a growing text stands in memory alone.
        """
        key = (change.channel, change.id)
        self._characters -= self._lengths.pop(key, 0)
        if isinstance(change, DeletedMessage) or change.reply.tone is Tone.WORKING:
            return
        self._lengths[key] = count_characters(change)
        self._characters += self._lengths[key]
        while self._characters > MAX_FEED_CHARACTERS:
            oldest_channel, oldest_id = oldest = next(iter(self._lengths))
            self._characters -= self._lengths.pop(oldest)
            feed = self._channels.get(oldest_channel)
            item = feed.recent.pop(oldest_id, None) if feed is not None else None
            if feed is not None and item is not None:
                feed.last_evicted_number = max(feed.last_evicted_number, item[0])

    def _get_or_create(self, channel: str) -> _ChannelFeed:
        feed = self._channels.get(channel) or _ChannelFeed()
        self._channels[channel] = feed
        return feed


def format_sse_event(name: str, data: JSON | MessageJson | list[MessageJson], position: str = "") -> bytes:
    """Return a server-sent event (html.spec.whatwg.org, section 9.2) with JSON as data."""
    head = f"id: {position}\n" if position else ""
    # JSON escapes line breaks: `data` is always a single line.
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {body}\n\n".encode("utf-8", "replace")
