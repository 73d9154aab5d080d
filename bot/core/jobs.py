"""One unit of asked-for work, from accepted to delivered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.replies import MessageRef


class JobState(StrEnum):
    """Where a job is. `ACCEPTED` means committed: from there on it is owed."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"


OPEN_STATES = frozenset({JobState.ACCEPTED, JobState.QUEUED, JobState.SUBMITTING, JobState.RUNNING})
"""Money is held and work may be going on."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as its row says. `owner` and `epoch` fence writes: a worker that lost the job writes nothing."""

    id: str
    request_key: str
    user: User
    channel: Channel
    command: str
    model: str
    """The key of a catalogue entry."""
    backend: str
    options: Mapping[str, JSON]
    """The command's options as asked, after checking; file options hold the SHA-256 of a kept file."""
    inputs: Mapping[str, JSON]
    """The model's inputs before files are handed over; file inputs hold `{"sha256": …, "mime": …, "size": …}`."""
    state: JobState
    owner: str
    epoch: int
    created_at: datetime
    updated_at: datetime
    is_private: bool = False
    press_key: str = ""
    parent_job: str = ""
    conversation: str = ""
    prediction: str = ""
    attempts: int = 0
    estimate_micros: int = 0
    max_micros: int = 0
    """The price the person was told, in micros."""
    cost_micros: int | None = None
    """What the person paid, in micros, once closed."""
    cancel_by: str = ""
    """Who asked to cancel, as `platform:id`, or empty."""
    run_after: datetime | None = None
    error: str = ""
    """The sentence the person reads when it failed."""
    notified_at: datetime | None = None
    """When the final message was sent."""
    weight: int = 1
    """How many turns the person gets in a line for one of somebody without a tier."""
    queue_time: float | None = None
    """When it was due in its line (`jobs.line`): jobs that wait are taken up again in this order."""
    reuse_key: str = ""
    """The key that identical requests of a workspace share (`jobs.reuse`); empty: its result is not reused."""
    reuses: str = ""
    """The finished job whose result answers this job for nothing."""

    @property
    def request_text(self) -> str:
        """The words of the request: the prompt, the chat message or the question about a picture; empty without any."""
        return str(self.options.get("prompt") or self.options.get("message") or self.options.get("question") or "")


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """Our row for one run at a backend. `inputs` is exactly what is sent, until the run is over."""

    id: str
    backend: str
    model: str
    fingerprint: str
    inputs: Mapping[str, JSON]
    created_at: datetime
    submitted_at: datetime | None = None
    """When a create was first about to be sent: adoption looks for runs created since."""
    backend_id: str = ""
    state: str = "new"
    predict_seconds: float | None = None
    cost_micros: int | None = None
    """What it really cost the owner, in micros."""


@dataclass(frozen=True, slots=True)
class Output:
    """A kept file or text that a prediction produced. `n` counts from 1."""

    prediction: str
    n: int
    sha256: str = ""
    mime: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    text: str = ""
    alt: str = ""
    is_flagged: bool = False
    expires_at: datetime | None = None


class MessageState(StrEnum):
    """Where one part of a job's message is."""

    POSTED = "posted"
    CLOSED = "closed"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """One part of what a job shows. Part 0 is the placeholder; `start` and `end` are the text range it carries."""

    job: str
    part: int
    ref: MessageRef
    state: MessageState = MessageState.POSTED
    start: int = 0
    end: int = 0
    opening: str = field(default="")
    """The fence reopened at its head, e.g. "```python", or empty."""
