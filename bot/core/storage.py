"""What the trunk asks of a database: transactions, and one store for each kind of row.

Every method runs inside the transaction it was taken from. Times are aware UTC datetimes.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bot.core.conversations import Conversation, Turn
from bot.core.forgetting import ForgettingStore
from bot.core.jobs import Job, JobState, Output, PostedMessage, PredictionRecord
from bot.core.json import JSON
from bot.core.money import Account, Entry, Hold
from bot.core.pending import PendingStore
from bot.core.people import Rank, User
from bot.core.replies import MessageRef, Reply


class JobStore(Protocol):
    """Jobs, each arrow of their life a compare-and-set."""

    async def add(self, job: Job) -> None:
        """Raises `DuplicateAsk` or `DuplicatePress`, and then nothing is written."""
        ...

    async def get(self, job_id: str) -> Job | None: ...

    async def find(self, prefix: str) -> Job | None:
        """The one job whose id begins so; None where none or several do."""
        ...

    async def by_request_key(self, request_key: str) -> Job | None: ...

    async def move(self, job: Job, to: JobState, at: datetime, **changes: Any) -> Job | None:
        """Compare-and-set on (id, state, owner, epoch) of `job`. The job as it is now; None when no longer ours.

        `changes` are fields of `Job`: prediction, cost, error, attempts, run_after, told_at, conversation,
        queue_turn.
        """
        ...

    async def steps(self, job_id: str) -> list[tuple[JobState, datetime]]:
        """The states a job has been in and when each was reached, in order; empty for an unknown job."""
        ...

    async def ask_cancel(self, job_id: str, by: str, at: datetime) -> bool:
        """Note who wants an open job cancelled. False when it is not open or already asked."""
        ...

    async def open_of(self, user: User) -> list[Job]:
        """The open jobs of a user in their workspace, newest first."""
        ...

    async def recent_of(self, user: User, limit: int) -> list[Job]:
        """Jobs of a user in their workspace in any state, newest first."""
        ...

    async def recent_in(self, platform: str, workspace: str, channel: str, limit: int) -> list[Job]:
        """Jobs asked in one channel in any state, newest first."""
        ...

    async def waited_for(self, owner: str) -> list[str]:
        """The ids of an owner's jobs that someone still waits for, oldest first."""
        ...

    async def unwanted(self, owner: str) -> list[str]:
        """The ids of an owner's open jobs that somebody asked to stop."""
        ...

    async def claim(
        self, owner: str, dead_before: datetime, at: datetime, limit: int, platforms: Sequence[str] | None = None
    ) -> list[Job]:
        """Take over jobs that someone waits for from owners not alive (no beat since `dead_before`): epoch raised.

        In the order of their turns; those that never stood in line come last, oldest first.

        On PostgreSQL with FOR UPDATE SKIP LOCKED. Jobs already of this owner are not among them.
        """
        ...

    async def let_go(self, owner: str, at: datetime) -> int:
        """At a clean stop: open jobs of this owner get no owner, so that the next takes them at once."""
        ...

    async def finished_alike(self, job: Job) -> Job | None:
        """The latest finished job of an identical request in the same workspace: what it made is kept and unflagged."""
        ...

    async def count_open_of(self, user: User) -> int:
        """How many jobs of a user in their workspace are open."""
        ...

    async def open_in(self, platform: str, workspace: str, limit: int) -> list[Job]:
        """Open jobs of the people of a workspace, oldest first."""
        ...

    async def asked_in(self, platform: str, workspace: str, since: datetime, until: datetime, limit: int) -> list[Job]:
        """Jobs that the people of a workspace asked from then until before then, newest first."""
        ...


class PredictionStore(Protocol):
    """Runs at backends."""

    async def add(self, record: PredictionRecord) -> None: ...

    async def get(self, prediction_id: str) -> PredictionRecord | None: ...

    async def mark_submitted(self, prediction_id: str, at: datetime) -> None:
        """Set `submitted_at` if it was empty: a create is about to be sent."""
        ...

    async def claim(self, prediction_id: str, backend_id: str) -> None:
        """Store the backend's id. Raises `AlreadyClaimed` when another prediction has it, or this one another run."""
        ...

    async def close(self, prediction_id: str, state: str, predict_seconds: float | None, cost: int) -> None:
        """Store how it ended and what it cost the owner (micros); inputs are forgotten."""
        ...

    async def usual_seconds(self, model: str) -> float | None:
        """The learnt time of a model (`model_times`), in seconds."""
        ...

    async def learn_seconds(self, model: str, seconds: float) -> None:
        """Move the learnt time of a model towards what was just seen (exponential mean, weight 0.2)."""
        ...


class OutputStore(Protocol):
    """What predictions produced."""

    async def add(self, outputs: Iterable[Output]) -> None:
        """Idempotent on (prediction, n)."""
        ...

    async def of(self, prediction_id: str) -> list[Output]: ...


class MessageStore(Protocol):
    """The posted messages of jobs, by part."""

    async def put(self, message: PostedMessage) -> None:
        """Insert or replace (job, part)."""
        ...

    async def of(self, job_id: str) -> list[PostedMessage]:
        """In order of their parts."""
        ...

    async def shown_in(self, platform: str, channel: str, message: str) -> str | None:
        """The job that a message shows a part of. `channel` is where the message itself is: the thread, if in one."""
        ...

    async def forget_tokens(self, expired_before: datetime) -> int: ...

    async def notes(self, ref: MessageRef) -> dict[str, JSON]:
        """What a platform wrote down about a message, to go on with it after a crash; empty for an unknown one."""
        ...

    async def write_notes(self, ref: MessageRef, notes: Mapping[str, JSON]) -> None:
        """Replace them; harmless for an unknown message."""
        ...


class LedgerStore(Protocol):
    """Accounts and the rows that move them. The database itself refuses what must not be."""

    async def open(self, account: Account, grant: Entry) -> bool:
        """Create an account with its first grant, unless it is there. True when it is new."""
        ...

    async def lock(self, ids: Sequence[str]) -> dict[str, Account]:
        """The accounts, locked for this transaction in id order where the engine locks rows; unknown ids left out."""
        ...

    async def get(self, account_id: str) -> Account | None: ...

    async def append(self, entries: Sequence[Entry]) -> None:
        """Raises `DuplicateEntry` or `Overdrawn`, and then the transaction is lost."""
        ...

    async def open_holds(self, job_id: str) -> list[Hold]:
        """Holds of a job that nothing has closed, wallets before budgets, in the order they were drawn."""
        ...

    async def entries(self, account_ids: Sequence[str]) -> list[Entry]: ...

    async def entries_of_job(self, job_id: str) -> list[Entry]: ...

    async def spent_by_model(self, account_ids: Sequence[str]) -> list[tuple[str, int, int]]:
        """(model, jobs, micros) settled on these accounts, dearest first."""
        ...

    async def used_by(self, askers: str, since: datetime, wallets: str) -> int:
        """What asks since then took from wallets, in micros: what closed ones cost, and what open ones hold.

        `askers` and `wallets` are how their names begin; a whole name of an asker ends in nothing else.
        """
        ...

    async def spent_by_asker(self, askers: str, since: datetime, limit: int) -> list[tuple[str, int, int]]:
        """(asker, jobs, micros) settled on wallets since then, dearest first.

        `askers` is how their names begin, `discord:GUILD:` for instance: a hold's actor is who asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit or setting that somebody set. `scope`: `bot`, `workspace`, `channel`, `role` or `user`."""

    platform: str
    workspace: str
    scope: str
    scope_id: str
    key: str
    value: JSON
    by: str
    at: datetime


class PolicyStore(Protocol):
    """Limits and settings changed while running."""

    async def of(self, platform: str, workspace: str) -> list[Policy]:
        """Policies of a workspace and those of the whole bot (empty platform and workspace)."""
        ...

    async def put(self, policy: Policy) -> None: ...

    async def named(self, key: str) -> list[Policy]:
        """Policies of that key, wherever they are set."""
        ...

    async def remove(self, platform: str, workspace: str, scope: str, scope_id: str, key: str) -> bool: ...


class RateStore(Protocol):
    """How often somebody may do something."""

    async def take(self, key: str, per_minute: int, at: datetime) -> float:
        """Let one through where no more than `per_minute` come in any minute: 0, or seconds until the next may."""
        ...


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One row that does not fit the others: what kind of row, which, and what it says against what it should say."""

    what: str
    row: str
    says: int
    should_say: int


class BooksStore(Protocol):
    """Compares ledger, accounts, jobs and predictions with one another."""

    async def disagreements(self, limit: int) -> list[Disagreement]:
        """Rows that disagree, at most `limit` of each kind; none where the books are right. Changes nothing."""
        ...

    async def sizes(self) -> dict[str, int]:
        """How many rows were compared, by table."""
        ...


class PeopleStore(Protocol):
    """Users and workspaces as last seen."""

    async def see(self, user: User, at: datetime) -> None:
        """Remember name and locale."""
        ...

    async def blocked_until(self, user: User) -> tuple[datetime, str] | None:
        """End and reason of a block, if any."""
        ...

    async def block(self, user: User, until: datetime | None, reason: str) -> None:
        """None ends a block."""
        ...

    async def by_name(self, platform: str, workspace: str, name: str) -> list[str]:
        """The ids a name may mean in this workspace: the one that is spelled so, else those called so, at most two."""
        ...

    async def names(self, platform: str, workspace: str, ids: Sequence[str]) -> dict[str, str]:
        """What people of a workspace are called, by id; unknown ids left out."""
        ...

    async def is_workspace_allowed(self, platform: str, workspace: str) -> bool: ...

    async def allow_workspace(self, platform: str, workspace: str, at: datetime) -> None: ...

    async def forbid_workspace(self, platform: str, workspace: str, at: datetime, *, is_removed: bool) -> None:
        """Take the permission back. `is_removed`: the bot was thrown out, and what is kept goes when its time is up."""
        ...


class ModerationStore(Protocol):
    """Refused words and pauses."""

    async def words(self, platform: str, workspace: str) -> list[str]:
        """Refused words of a workspace and of the whole bot."""
        ...

    async def add_word(self, platform: str, workspace: str, word: str, by: str) -> bool:
        """False when it was there already."""
        ...

    async def remove_word(self, platform: str, workspace: str, word: str) -> bool:
        """False when it was not there."""
        ...

    async def pauses(self) -> dict[str, str]:
        """What is paused (`all`, `platform:web`, `model:sdxl`) and why."""
        ...

    async def pause(self, what: str, reason: str | None, by: str) -> None:
        """A reason of None ends a pause."""
        ...


class ConversationStore(Protocol):
    """Chats and their turns."""

    async def open(self, conversation: Conversation) -> Conversation:
        """The conversation of this channel and thread; created as given when there is none."""
        ...

    async def get(self, conversation_id: str) -> Conversation | None: ...

    async def in_channel(self, platform: str, workspace: str, channel: str, thread: str) -> Conversation | None: ...

    async def add_turn(self, turn: Turn) -> None:
        """Idempotent on (job, role) where a job is given."""
        ...

    async def turns(self, conversation_id: str, limit: int) -> list[Turn]:
        """The latest turns, oldest first."""
        ...


class WorkerStore(Protocol):
    """One heartbeat row for each living process."""

    async def beat(self, worker: str, at: datetime) -> None: ...

    async def alive(self, since: datetime) -> list[str]:
        """The ids of those who beat after `since`, in their order."""
        ...

    async def leave(self, worker: str) -> None: ...


class InboxStore(Protocol):
    """Notices of backends that came in, so that a repeated one does nothing."""

    async def add(self, notice_id: str, job_id: str, at: datetime) -> bool:
        """False when it was there already."""
        ...

    async def forget(self, received_before: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit. `actor` is who, as `platform:workspace:id`, or a part of the bot."""

    actor: str
    action: str
    facts: Mapping[str, JSON]
    at: datetime


class AuditStore(Protocol):
    """Who changed or refused what."""

    async def add(
        self, actor: str, action: str, facts: Mapping[str, JSON], at: datetime, about: tuple[str, str] | None = None
    ) -> None:
        """`about` is the workspace it concerns, as (platform, id): the actor's own when nothing is said."""
        ...

    async def of(self, platform: str, workspace: str, limit: int, *, actor: str = "", kind: str = "") -> list[AuditRow]:
        """What concerns a workspace, newest first: of one actor, of actions that begin with `kind`."""
        ...

    async def forget(self, before: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class PageMessage:
    """One message on the web page, which is its own Discord: what was said, by a person or by the bot."""

    id: str
    channel: str
    user: str
    job: str
    is_from_bot: bool
    reply: Reply
    created_at: datetime
    updated_at: datetime


class PageStore(Protocol):
    """The messages of the web page, so that a reload shows everything again."""

    async def put(self, message: PageMessage) -> None:
        """Insert, or replace the reply and `updated_at`."""
        ...

    async def get(self, message_id: str) -> PageMessage | None: ...

    async def in_channel(self, channel: str, limit: int) -> list[PageMessage]:
        """The latest messages, oldest first."""
        ...

    async def remove(self, message_id: str) -> None:
        """Forget one message; harmless when it is not there."""
        ...

    async def of(self, user: str) -> list[tuple[str, str]]:
        """(message, channel) of all that somebody said, and was answered."""
        ...

    async def channels_of(self, user: str, limit: int) -> list[tuple[str, str, datetime]]:
        """(channel, first words, last change), newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody whom the web page knows by invitation. Names are unique, whatever their case."""

    id: str
    name: str
    rank: Rank
    invited_at: datetime
    joined_at: datetime | None = None
    """When they first used an invitation."""


class VisitorStore(Protocol):
    """The people of the web page, and what lets them in: only SHA-256 of invitations and cookies are kept."""

    async def put(self, visitor: Visitor) -> None:
        """Insert, or replace name and rank."""
        ...

    async def all(self) -> list[Visitor]:
        """In the order they were invited."""
        ...

    async def by_name(self, name: str) -> Visitor | None: ...

    async def by_cookie(self, sha256: str) -> Visitor | None: ...

    async def add_invitation(self, visitor: str, sha256: str, expires_at: datetime) -> None: ...

    async def use_invitation(self, sha256: str, cookie_sha256: str, at: datetime) -> Visitor | None:
        """Turn an invitation into a cookie, once. None when it is unknown, expired or used."""
        ...

    async def remove(self, visitor: str) -> None:
        """Forget somebody, with every key they have."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """An app that a workspace installed. `secrets` are encrypted by whoever keeps them; `facts` are not secret."""

    platform: str
    workspace: str
    secrets: bytes
    facts: Mapping[str, JSON]
    installed_by: str
    installed_at: datetime


class InstallationStore(Protocol):
    """Workspaces that installed the app, with what opens them."""

    async def put(self, installation: Installation) -> None:
        """Insert, or replace the one of this workspace."""
        ...

    async def get(self, platform: str, workspace: str) -> Installation | None: ...

    async def remove(self, platform: str, workspace: str, at: datetime) -> bool:
        """Erase its secrets and note when; gives whether there were any."""
        ...


class Transaction(Protocol):
    """One transaction and the stores that speak in it."""

    jobs: JobStore
    predictions: PredictionStore
    outputs: OutputStore
    messages: MessageStore
    ledger: LedgerStore
    policies: PolicyStore
    rates: RateStore
    books: BooksStore
    people: PeopleStore
    moderation: ModerationStore
    conversations: ConversationStore
    workers: WorkerStore
    inbox: InboxStore
    audit: AuditStore
    pending: PendingStore
    forgetting: ForgettingStore
    page: PageStore
    visitors: VisitorStore
    installations: InstallationStore


class Database(Protocol):
    """Where rows live. Never await anything but its stores inside a write."""

    def write(self, *, is_urgent: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that may change things: committed at the end, rolled back on any error.

        Urgent writes (what was paid for) overtake the others (new asks) where writers queue.
        """
        ...

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that changes nothing."""
        ...
