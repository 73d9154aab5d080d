"""The content of a message, before a platform renders the message in its own form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.core.file_types import MediaKind, find_kind


class Tone(StrEnum):
    """The kind of a message. Platforms choose colour and icon by the tone."""

    PLAIN = "plain"
    WORKING = "working"
    DONE = "done"
    ERROR = "error"


class Stage(StrEnum):
    """The stage of a job as users see it."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"


STAGE_TEXTS: Mapping[Stage, str] = {
    Stage.QUEUED: "Waiting in line",
    Stage.STARTING: "Waking the model up",
    Stage.RUNNING: "Working on it",
}
"""The stages in the words of a message."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a job. `percent` is from 0 to 100, or None for a model without progress."""

    stage: Stage
    percent: int | None = None
    elapsed_seconds: int = 0
    usual_seconds: int | None = None
    queue_position: int | None = None
    """The job's position in the queue: 1 is next."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One stored picture, with a description for users who cannot see the picture (`alt`)."""

    sha256: str
    mime: str
    width: int
    height: int
    alt: str
    name: str
    """The file name for display and download, such as `lighthouse-at-dusk-1.png`."""
    is_flagged: bool = False
    n: int = 1
    """The number among the job's outputs, as in the picture's buttons."""
    recipe: str = ""
    """How the picture was made, in A1111's text, for the delivered file; empty: the file is sent as kept."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One stored sound, video or download. A platform plays what it can, and offers the rest as a download."""

    sha256: str
    mime: str
    name: str
    """The file name for display and download, such as `sea-shanty-1.mp3`."""
    size_bytes: int
    alt: str = ""
    duration_seconds: float | None = None
    width: int = 0
    height: int = 0
    is_flagged: bool = False
    link: str = ""
    """The file's address on the page, where other machines reach the page."""
    n: int = 1
    """The number among the job's outputs."""

    @property
    def kind(self) -> MediaKind:
        """The kind, as decided by the file's bytes."""
        return find_kind(self.mime)


MadeFile = Picture | ResultFile
"""A file that a job made."""


@dataclass(frozen=True, slots=True)
class LivePreview:
    """An unfinished picture of a running model, in memory alone: no store keeps the picture."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Button:
    """A button for a next step. `action` is a key of `dispatch.button_actions`; `n` counts the files from 1."""

    action: str
    label: str
    job: str
    n: int = 0
    is_answer_public: bool = False
    """Whether the answer to a press is public even if the button is on a private message."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file attached to a message, such as `quota-2026-11.csv`."""

    name: str
    mime: str
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One message. `text` is Markdown; `note` is a line of facts under text and pictures."""

    text: str = ""
    pictures: tuple[Picture, ...] = ()
    progress: Progress | None = None
    note: str = ""
    buttons: tuple[Button, ...] = ()
    tone: Tone = Tone.PLAIN
    is_private: bool = False
    files: tuple[TextFile, ...] = ()
    result_files: tuple[ResultFile, ...] = ()
    """Sounds, videos and downloads that a job made; pictures stand in `pictures`."""
    is_visual: bool = False
    """Whether the job will deliver pictures: some platforms need another kind of message for pictures."""
    request_summary: str = ""
    """Requester and prompt, for platforms that hide a typed command from the other users."""
    is_voice: bool = False
    """Whether the message is the one recording in `result_files` and nothing else."""
    preview: LivePreview | None = None
    """The unfinished picture, on platforms whose limits say `shows_previews`."""

    @property
    def made_files(self) -> tuple[MadeFile, ...]:
        """The pictures, and then all other files that the job made."""
        return (*self.pictures, *self.result_files)


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
    """The platform's id of the message; the destination's nonce while `unposted_for` is set.

    Empty while an interaction has no response yet, see `is_unanswered`.
    """
    token: str = ""
    """The interaction token, a secret: erased when the token expires."""
    token_expires_at: datetime | None = None
    unposted_for: Recipient | None = None
    """Set until the first text arrives, where a platform creates a streamed message together with its first text."""
    is_original_response: bool = False
    """Whether the message is the first response of the interaction with this token. Discord edits it as `@original`."""

    @property
    def is_unanswered(self) -> bool:
        """Whether the message is the coming response of an interaction: the token answers, and no id is known."""
        return self.is_original_response and not self.id
