"""The rows of one job: state, prediction, outputs, posted messages, and the votes on an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeGuard

from bot.core.file_types import MediaKind, find_kind
from bot.core.json import JSON
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.replies import MessageRef


class JobState(StrEnum):
    """The state of a job. From `ACCEPTED` on the job is committed: the bot must deliver an answer."""

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
"""States in which money is held and work may be in progress."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as stored. `owner` and `epoch` fence writes: the writes of a worker that lost the job fail."""

    id: str
    request_key: str
    user: User
    channel: Channel
    command: str
    model: str
    """The key of a catalogue entry."""
    backend: str
    options: Mapping[str, JSON]
    """The command's options after the checks; file options hold the SHA-256 of a stored file."""
    inputs: Mapping[str, JSON]
    """The model's inputs before the upload of files; file inputs hold `{"sha256": …, "mime": …, "size": …}`."""
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
    """The maximum price, shown to the user and held, in micros."""
    cost_micros: int | None = None
    """The amount that the user paid, in micros, once the job is closed."""
    cancel_by: str = ""
    """The user who cancelled, as `format_author` gives the user, or empty."""
    run_after: datetime | None = None
    error: str = ""
    """The sentence that the user reads when the job failed."""
    notified_at: datetime | None = None
    """The time of the final message."""
    weight: int = 1
    """The user's share of a queue, where a user without a tier has 1."""
    queue_time: float | None = None
    """The job's virtual finish time in the fair queue: after a restart, waiting jobs keep their order."""
    reuse_key: str = ""
    """The key that identical requests of a workspace share (`jobs.reuse`); empty: the result is not reused."""
    reuses: str = ""
    """The finished job with the result that answers this job, free of charge."""

    @property
    def tools(self) -> Sequence[str] | None:
        """The tools on offer to a chat model: none after the last call, None in a chat without tools."""
        tools = self.options.get("tools")
        return tools.split() if isinstance(tools, str) else None

    @property
    def may_lead_on(self) -> bool:
        """Whether another job may follow: on tools or speech, on a job that a chat waits for, or on a training."""
        is_linked = any(self.options.get(name) for name in ("tools", "called_by", "asks", "spoken"))
        return is_linked or "voice_question" in self.options or self.command == Task.TRAIN

    @property
    def given_files(self) -> tuple[str, ...]:
        """The SHA-256s of the files that the person gave, in the order of the options."""
        values = [value if isinstance(value, list) else [value] for value in self.options.values()]
        return tuple(str(file["sha256"]) for files in values for file in files if is_file(file))

    def select_outputs(self, outputs: Sequence["Output"]) -> list["Output"]:
        """Return the outputs that the job shows: of a picture shown again, the one picture of the other job."""
        n = self.options.get("shown")
        return [output for output in outputs if n is None or output.n == n]

    @property
    def batch_jobs(self) -> tuple[str, ...]:
        """The ids of a batch's jobs; empty for any other job. A batch itself runs nothing: its message shows them."""
        ids = self.options.get("batch_jobs")
        return tuple(str(job_id) for job_id in ids) if isinstance(ids, list) else ()

    @property
    def batch_id(self) -> str:
        """The id of the batch that a job belongs to; such a job has no message of its own."""
        return str(self.options.get("batch_id") or "")

    @property
    def request_text(self) -> str:
        """The words of the request: prompt, message, question, words to speak, or a model's name; else empty."""
        words = (self.options.get(name) for name in ("prompt", "message", "question", "text", "name"))
        return str(next(filter(None, words), ""))


def is_file(value: object) -> TypeGuard[dict[str, JSON]]:
    """Return whether the value of a stored option is a file."""
    return isinstance(value, dict) and "sha256" in value


@dataclass(frozen=True, slots=True)
class JobSummary:
    """The columns of one job in an export. `cost_micros` is None for an open job."""

    created_at: datetime
    user: str
    user_name: str
    command: str
    model: str
    state: JobState
    cost_micros: int | None
    id: str


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One run at a backend, as stored. `inputs` are the exact inputs of the create request, until the run is over."""

    id: str
    backend: str
    model: str
    fingerprint: str
    inputs: Mapping[str, JSON]
    created_at: datetime
    submitted_at: datetime | None = None
    """The time just before the first create request: the search for a lost run starts here."""
    backend_id: str = ""
    state: str = "new"
    predict_seconds: float | None = None
    cost_micros: int | None = None
    """The owner's cost, in micros."""


@dataclass(frozen=True, slots=True)
class Output:
    """A stored file or text from a prediction. `n` counts from 1."""

    prediction: str
    n: int
    sha256: str = ""
    mime: str = ""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    text: str = ""
    alt: str = ""
    is_flagged: bool = False
    expires_at: datetime | None = None
    duration_seconds: float | None = None
    """The length of a sound or video, None where unknown."""

    @property
    def kind(self) -> MediaKind | None:
        """The kind of a kept file, None for a text."""
        return find_kind(self.mime) if self.sha256 else None


class MessageState(StrEnum):
    """The state of one part of a job's message."""

    POSTED = "posted"
    CLOSED = "closed"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """One part of a job's message. Part 0 is the placeholder; `start` and `end` are the part's range of the text."""

    job: str
    part: int
    ref: MessageRef
    state: MessageState = MessageState.POSTED
    start: int = 0
    end: int = 0
    opening: str = field(default="")
    """The code fence reopened at the head of the part, such as "```python", or empty."""


class Vote(StrEnum):
    """The verdict of a person on a chat answer."""

    UP = "up"
    DOWN = "down"


VOTE_LABELS = {Vote.UP: "👍", Vote.DOWN: "👎"}
"""The signs on buttons and in lists."""

VOTE_ACTIONS = {"vote_up": Vote.UP, "vote_down": Vote.DOWN}
"""The votes by the actions of the buttons."""
