"""What a message should show, before any platform turns it into its own form."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Tone(StrEnum):
    """What kind of message this is; platforms choose colour and icon by it."""

    PLAIN = "plain"
    WORKING = "working"
    DONE = "done"
    ERROR = "error"


class Stage(StrEnum):
    """Where a running job is, as people see it."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is. Spans in seconds; percent from 0 to 100, or None where the model tells none."""

    stage: Stage
    percent: int | None = None
    elapsed_seconds: int = 0
    usual_seconds: int | None = None
    queue_position: int | None = None
    """The place in the line while it is queued: 1 is next."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One kept picture: where its file is, and what a person who cannot see it should know."""

    sha256: str
    mime: str
    width: int
    height: int
    alt: str
    name: str
    """A file name to show and to download as, such as `lighthouse-at-dusk-1.png`."""
    is_flagged: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """One next step. `action` names it in `dispatch.presses`; job and n (1-based picture) say what it acts on."""

    action: str
    label: str
    job: str
    n: int = 0


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of words that comes with a message, such as `quota-2026-11.csv`: platforms attach it."""

    name: str
    mime: str
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One message: text (Markdown), pictures, progress, a line of facts under them, buttons, and files of words."""

    text: str = ""
    pictures: tuple[Picture, ...] = ()
    progress: Progress | None = None
    note: str = ""
    buttons: tuple[Button, ...] = ()
    tone: Tone = Tone.PLAIN
    is_private: bool = False
    files: tuple[TextFile, ...] = ()
    is_visual: bool = False
    """Whether pictures are what it comes to: some platforms need another kind of message for them from the start."""
    request_summary: str = ""
    """Who asked for it, and what: for platforms where others do not see a command that somebody typed."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """The user for whom a platform streams a message. `workspace` is the user's own, also in a shared channel."""

    user: str
    workspace: str


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The address of one posted message, enough for any process to edit it later."""

    platform: str
    workspace: str
    channel: str
    thread: str
    id: str
    """The platform's id of the message; the destination's nonce while `unposted_for` is set."""
    token: str = ""
    """An interaction token while it lives; a secret, erased when it expires."""
    token_expires_at: datetime | None = None
    unposted_for: Recipient | None = None
    """Set until the first text arrives, where a platform creates a streamed message together with its first text."""
    is_original_response: bool = False
    """Whether the message is the first response of the interaction with this token. Discord edits it as `@original`."""
