"""A chat that goes on, and the messages of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.core.json import JSON
from bot.core.people import Channel, Rank, User
from bot.core.replies import MessageRef


class TurnRole(StrEnum):
    """Who speaks in a turn."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat that goes on, one for each channel and thread."""

    id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    model: str
    system: str
    starter: str
    created_at: datetime
    is_reply_chain: bool = False
    """Whether `thread` names a message that people reply to, rather than a thread: see `Channel`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. `files` are SHA-256s of kept pictures."""

    id: str
    conversation: str
    role: TurnRole
    text: str
    created_at: datetime
    parent: str = ""
    job: str = ""
    user: str = ""
    files: tuple[str, ...] = ()
    platform_message: str = ""


# MERGED One call of a command, as a platform hands it over.


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file a person gave. `mime` and `size` (bytes) are what the platform claims, to be checked before use."""

    name: str
    mime: str
    size_bytes: int
    read: Callable[[], Awaitable[bytes]] = field(repr=False)
    """Downloads the bytes; may raise a `UserError`. Called at most once, after the cheap checks."""


@dataclass(frozen=True, slots=True)
class Link:
    """A file a person named by its address, not fetched yet."""

    url: str


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """One message of a thread from before the bot was in it. `message` is the platform's id of it."""

    role: TurnRole
    user: str
    """Who said it, as `platform:id`; empty for the bot."""
    text: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a command. `options` holds text, numbers or flags as the platform gave them, before checking."""

    user: User
    channel: Channel
    command: str
    request_key: str
    """The platform's own id of this call, with the platform in front: one key, one job."""
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    press_key: str = ""
    """`message:action:user` when a button was pressed: unique while its job is open."""
    parent_job: str = ""
    """The job whose button was pressed."""
    action: str = ""
    """What that button says, e.g. `regenerate`; see `dispatch.presses`."""
    placeholder: MessageRef | None = None
    """A message that waits for this answer; stored with the job, so that any process can give it."""
    is_private: bool = False
    """Whether the job's messages are for the asker alone."""
    mentioned_users: tuple[User, ...] = ()
    """People of this workspace that options name, as the platform shows them: they need not have used the bot."""
    earlier_messages: tuple[EarlierMessage, ...] = ()
    """What was said in the thread before, oldest first; read when the conversation is new."""
    rank: Rank = Rank.USER
    """What the dispatcher found the caller to be, for a command that is not for everybody; else `USER`."""
    confirmed_micros: int = 0
    """The price, in micros, that the person agreed to by a button."""
    is_confirmed: bool = False
    """Whether the person was asked and agreed: see `dispatch.consent`."""


# MERGED What waits for somebody's answer: an ask that costs much, a deletion to be confirmed, a deletion to be
# MERGED finished.


@dataclass(frozen=True, slots=True)
class PendingAction:
    """One thing that waits, for one person, until it is taken or expires."""

    id: str
    kind: str
    """`consent` (buttons that go ahead or not) or `erasure` (a person's data that is being deleted)."""
    platform: str
    workspace: str
    channel: str
    user: str
    facts: Mapping[str, JSON]
    created_at: datetime
    expires_at: datetime
