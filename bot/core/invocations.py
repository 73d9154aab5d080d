"""Calls of commands, conversations, and actions that wait for a confirmation."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.core.file_types import MediaKind, guess_kind
from bot.core.json import JSON
from bot.core.people import Channel, Rank, User
from bot.core.replies import MessageRef
from bot.core.text import mend_file_name, mend_text, mend_texts

TOOL, TOOL_RESULT = "tool", "tool_result"
"""The actions of a chat model's call and of the call's result, in the place of a button's action."""
PREPARED = "prepared"
"""The action of a question after a summary of its conversation."""

VOICE = "voice"
"""The action of the answer to a transcribed voice message, and of the spoken answer."""


class TurnRole(StrEnum):
    """The speaker of a turn."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat with a model, one for each channel and thread."""

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
    """One message of a conversation. `files` are the SHA-256s of stored pictures."""

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


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file from a user. `mime` and `size_bytes` are claims of the platform, to be checked before use."""

    name: str
    mime: str
    size_bytes: int
    read: Callable[[], Awaitable[bytes]] = field(repr=False)
    """Download the bytes; may raise a `UserError`. Called at most once, after the cheap checks."""

    @property
    def kind(self) -> MediaKind:
        """The kind that the platform claims."""
        return guess_kind(self.mime)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", mend_file_name(self.name))
        object.__setattr__(self, "mime", mend_file_name(self.mime))


@dataclass(frozen=True, slots=True)
class Link:
    """A file that a user named by URL, not fetched yet."""

    url: str


def name_file(option: str, n: int) -> str:
    """Return the name of the n-th file of an option, from 0: `image`, `image2`, `image3`, …"""
    return option if n == 0 else f"{option}{n + 1}"


FindFile = Callable[[Sequence[MediaKind]], Awaitable[Attachment | None]]
"""Finds the last file of some kinds in a channel or thread."""


PICTURE_ALONE = "(a picture without words)"
"""The words of an earlier message that has none."""


def format_left_out_pictures(count: int, *, has_more: bool = False) -> str:
    """Return what a reply says about pictures of a conversation that the model did not see; empty for none.

    `has_more` tells that older pictures were not counted.
    """
    least = "at least " if has_more else ""
    return f"{least}{count} earlier picture{'' if count == 1 else 's'} left out" if count else ""


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """One message of a thread from before the bot joined. `message_id` is the platform's id."""

    role: TurnRole
    user: str
    """The author, as `format_author` gives it; empty for the bot."""
    text: str
    message_id: str
    pictures: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", mend_text(self.text))


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a command. `options` holds text, numbers or flags from the platform, before the checks."""

    user: User
    channel: Channel
    command: str
    request_key: str
    """The platform's id of this call, prefixed with the platform: a second delivery makes no second job."""
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    """Files by name: the first of an option has the option's name, see `name_file`."""
    press_key: str = ""
    """`message:action:user` of a pressed button: unique while the job of the press is open."""
    parent_job: str = ""
    """The job with the pressed button."""
    action: str = ""
    """The action of the pressed button, such as `regenerate`; see `dispatch.button_actions`."""
    placeholder: MessageRef | None = None
    """The message that waits for the reply; stored with the job, so that any process can send the reply."""
    is_private: bool = False
    """Whether the job's messages are for the requester alone."""
    mentioned_users: tuple[User, ...] = ()
    """Users of this workspace that options name, from the platform: none needs to have used the bot."""
    earlier_messages: tuple[EarlierMessage, ...] = ()
    """The thread's messages before this call, oldest first; read when the conversation is new."""
    find_file: FindFile | None = None
    """Finds the file for a required option that was left out; None for a platform whose files the jobs know."""
    drawing_prompt: str = ""
    """The prompt of a chat message that may have been meant for /imagine: the answer offers to draw the prompt."""
    voice_question: str | None = None
    """The words beside a voice message that a chat answers after the transcription; None for any other request."""
    remark: str = ""
    """What the reply says about files that were not read whole."""
    rank: Rank = Rank.USER
    """The caller's rank, looked up by the dispatcher for a command that needs a rank; else `USER`."""
    confirmed_micros: int = 0
    """The price that the user confirmed by a button, in micros."""
    is_confirmed: bool = False
    """Whether the user was asked and confirmed: see `dispatch.confirmation`."""

    def __post_init__(self) -> None:
        # Every platform's words pass here: mended once, they can be stored, sent and logged everywhere.
        object.__setattr__(self, "options", mend_texts(self.options))
        object.__setattr__(self, "drawing_prompt", mend_text(self.drawing_prompt))


@dataclass(frozen=True, slots=True)
class PendingAction:
    """An action that waits for one user's confirmation, or for its completion, until `expires_at`."""

    id: str
    kind: str
    """`consent` (a question with two buttons) or `erasure` (an unfinished deletion of a person's data)."""
    platform: str
    workspace: str
    channel: str
    user: str
    facts: Mapping[str, JSON]
    created_at: datetime
    expires_at: datetime
