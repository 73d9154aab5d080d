"""Where people talk: the one small protocol that every platform implements."""

from dataclasses import dataclass
from typing import Protocol

from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What one message holds. Text is measured in UTF-8 bytes where `text_in_bytes`, else in code points."""

    text: int
    text_in_bytes: bool = False
    pictures: int = 4


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a job's message goes. Equal `nonce`s make one message, where the platform can tell."""

    user: User
    channel: Channel
    request_key: str
    nonce: str
    is_private: bool = False
    after: MessageRef | None = None
    """The part before this one, of an answer that spans several messages."""


class Pacer(Protocol):
    """How fast one message may be edited. Pace belongs to a bucket that messages share fairly."""

    async def turn(self, *, is_final: bool) -> None:
        """Wait until an edit may be sent now. A final edit waits least."""
        ...

    def leave(self) -> None:
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
        """Create a message. Raises `MessageLost` when nothing can be posted there any more."""
        ...

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        """Show this instead. Idempotent. Raises `MessageLost` when the message cannot be reached any more."""
        ...

    async def delete(self, message: MessageRef) -> None:
        """Take it away for everyone; an edit of it raises `MessageLost` then. Harmless when it is gone already."""
        ...

    def pacer(self, message: MessageRef) -> Pacer:
        """The pace of edits to this message."""
        ...


class MessageLost(Exception):
    """The message, its channel or its token is gone; what was to be shown stays with the job."""
