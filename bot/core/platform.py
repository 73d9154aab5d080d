"""Where people talk: the two small protocols that every platform implements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply

if TYPE_CHECKING:
    from aiohttp.web import RouteDef


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What one message holds. Text is measured in UTF-8 bytes where `text_in_bytes`, else in code points."""

    max_length: int
    is_length_in_bytes: bool = False
    is_append_only: bool = False
    """A growing message is appended to: what it shows cannot be taken back, so an open fence is left open."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a job's message goes. Equal `nonce`s make one message, where the platform can tell."""

    user: User
    channel: Channel
    request_key: str
    nonce: str
    is_private: bool = False
    previous_part: MessageRef | None = None
    """The part before this one, of an answer that spans several messages."""
    placeholder: MessageRef | None = None
    """A message that is there already and waits for this answer, such as a deferred interaction's: it becomes it."""
    is_streamed: bool = False
    """Whether words will stream into it, where the platform shows such a message in a way of its own."""


class Pacer(Protocol):
    """How fast one message may be edited. Pace belongs to a bucket that messages share fairly."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until an edit may be sent now. A final edit waits least."""
        ...

    def close(self) -> None:
        """This message will not be edited any more."""
        ...


class Platform(Protocol):
    """Posts and edits messages. Errors of its SDK become ours at its edge."""

    @property
    def name(self) -> str:
        """`web`, `console`, `discord` or `slack`."""
        ...

    @property
    def limits(self) -> MessageLimits: ...

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message, or make `destination.answering` into it; gives its lasting address.

        Raises `MessageLost` when nothing can be posted there any more.
        """
        ...

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Show this instead. Idempotent. Gives its new address where another message had to take its place.

        Raises `MessageLost` when the message cannot be reached any more, and `MessageFull` when it takes no more.
        """
        ...

    async def delete(self, message: MessageRef) -> None:
        """Take it away for everyone; an edit of it raises `MessageLost` then. Harmless when it is gone already."""
        ...

    def pacer(self, message: MessageRef) -> Pacer:
        """The pace of edits to this message."""
        ...

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Where one person alone reads what is posted; None where there is no such place."""
        ...


class PlatformConnection(Protocol):
    """One platform of others, connected: people are heard there, and answered.

    In this order: `open`, `listen`, `quiet`, `close`; each of the last three also after an earlier one failed.
    """

    @property
    def platform(self) -> Platform: ...

    async def open(self) -> None:
        """Sign in: from here on messages can be posted. Raises a `UserError` that says what to do."""
        ...

    async def listen(self) -> None:
        """Hear people from here on."""
        ...

    async def stop_listening(self) -> None:
        """Hear nobody any more; returns when what was heard is accepted or answered."""
        ...

    async def close(self) -> None:
        """Sign out."""
        ...

    def routes(self) -> "Sequence[RouteDef]":
        """What the server answers for it."""
        ...

    def check(self) -> None:
        """Raises `Unavailable` while nobody there is heard."""
        ...


class MessageLost(Exception):
    """The message, its channel or its token is gone; what was to be shown stays with the job."""


class MessageFull(Exception):
    """The rest belongs into a further message. With `room`, this one takes so much in all, in the limits' unit.

    Without, it takes what it shows already, and what still comes up to the next good place to cut.
    """

    def __init__(self, room: int | None = None) -> None:
        super().__init__()
        self.room = room
