"""The protocols of a chat platform: `Platform` posts and edits messages, `PlatformConnection` receives events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply

if TYPE_CHECKING:
    from aiohttp.web import RouteDef


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """The capacity of one message, in UTF-8 bytes if `is_length_in_bytes`, else in code points."""

    max_length: int
    is_length_in_bytes: bool = False
    is_append_only: bool = False
    """The platform appends to a growing message and cannot remove text: an open code fence stays open."""
    has_spoilers: bool = False
    """The platform hides words between `||`, and quotes the rest of a message after `>>> `."""
    shows_previews: bool = False
    """The platform can afford to replace an unfinished picture in a message every second."""
    voice_mime: str = ""
    """The type of recordings that the platform posts as voice messages, which nobody edits; empty for none."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The place of a job's message. On platforms that support nonces, two posts with one `nonce` make one message."""

    user: User
    channel: Channel
    request_key: str
    nonce: str
    is_private: bool = False
    previous_part: MessageRef | None = None
    """The previous part of a reply that spans several messages."""
    placeholder: MessageRef | None = None
    """An existing message that becomes the reply, such as the message of a deferred interaction."""
    is_streamed: bool = False
    """Whether text will stream into the message: some platforms have a special form for streamed messages."""


class Pacer(Protocol):
    """Paces the edits of one message. Messages in one rate limit bucket share the bucket fairly."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until the platform's rate limit permits an edit. A final edit waits least."""
        ...

    def close(self) -> None:
        """Give the message's share of the bucket back: no edit follows."""
        ...


class Platform(Protocol):
    """Posts and edits messages. Each platform turns the errors of its SDK into errors of the bot."""

    @property
    def name(self) -> str:
        """Return `web`, `console`, `discord` or `slack`."""
        ...

    @property
    def limits(self) -> MessageLimits: ...

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message, or turn `destination.placeholder` into the message; return the permanent address.

        Raise `MessageLost` if the destination accepts no message any more.
        """
        ...

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Replace the content; idempotent. Return the new address if the platform had to post a replacement message.

        Raise `MessageLost` if the message is unreachable, `MessageFull` if the content exceeds the message's capacity.
        """
        ...

    async def delete(self, message: MessageRef) -> None:
        """Delete the message for all users; later edits raise `MessageLost`. Harmless for a message already deleted."""
        ...

    def pacer(self, message: MessageRef) -> Pacer:
        """Return the pacer of edits to this message."""
        ...

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return the channel of direct messages to a user, or None without such a channel."""
        ...

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return whether a channel is the direct messages of one person. Return true while the platform does not tell.

        A person's conversations on the page are no direct messages: the page has no other channels.
        """
        ...

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return whether only the members of the channel's thread see the thread, not all readers of the channel.

        Return true also while the platform does not tell.
        """
        ...


class PlatformConnection(Protocol):
    """The connection to an external platform such as Discord or Slack.

    Calls come in the order `open`, `listen`, `stop_listening`, `close`; the last two also after an earlier call failed.
    """

    @property
    def platform(self) -> Platform: ...

    async def open(self) -> None:
        """Sign in, so that messages can be posted. Raise a `UserError` with the owner's next step if sign-in fails."""
        ...

    async def listen(self) -> None:
        """Start to receive events."""
        ...

    async def stop_listening(self) -> None:
        """Stop receiving events; return once all received events are accepted or answered."""
        ...

    async def close(self) -> None:
        """Sign out."""
        ...

    def routes(self) -> "Sequence[RouteDef]":
        """Return the platform's HTTP routes for the bot's server."""
        ...

    def check(self) -> None:
        """Raise `Unavailable` while the platform delivers no events."""
        ...


class MessageLost(Exception):
    """The message, its channel or its token is gone. The content stays with the job."""


class MessageFull(Exception):
    """The message takes no more text: the rest belongs into another message.

    `room` is the total capacity in the unit of `MessageLimits`. Without `room`, the message keeps its text and the
    remainder up to the next good place for a cut.
    """

    def __init__(self, room: int | None = None) -> None:
        super().__init__()
        self.room = room
