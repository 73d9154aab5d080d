"""What changed on the page lately, and who is watching: the page's own little gateway."""

from collections import OrderedDict
from collections.abc import Iterable

from bot.core.ids import new_id
from bot.platforms.web.stream import DeletedMessage, FeedChange, FeedReader
from bot.storage.web_page import PageMessage

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
    def start(self) -> str:
        """The position before every change."""
        return f"{self._start}.0"

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
