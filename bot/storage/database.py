"""Opens the database and gives transactions, each with a store for each kind of row.

Every store method runs inside the store's transaction. Times are aware UTC datetimes.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeVar

import sqlalchemy as sa

from bot.core.errors import Unavailable
from bot.storage import schema
from bot.storage.connection import Connection, Statements, translate_errors
from bot.storage.conversations import ConversationStore, FeedbackStore
from bot.storage.erasure import ErasureStore
from bot.storage.jobs import InboxStore, JobStore, WorkerStore
from bot.storage.ledger import LedgerStore
from bot.storage.ledger_checks import CheckpointStore, LedgerChecks
from bot.storage.messages import MessageStore
from bot.storage.models import ModelStore, PresetStore
from bot.storage.moderation import AuditStore, ModerationStore
from bot.storage.pending import PendingStore
from bot.storage.people import InstallationStore, PeopleStore
from bot.storage.policies import PolicyStore, RateStore
from bot.storage.predictions import OutputStore, PredictionStore
from bot.storage.sqlite import SqliteEngine, parse_path
from bot.storage.web_page import PageStore, VisitorStore
from bot.storage.webhooks import WebhookStore

S = TypeVar("S")

# Priorities in the write queue, the lower number first. Accepting and the urgent writes of paid runs share the first
# place: no ask waits behind a row of writes of running jobs. With accepting alone in front, in a burst of 200 asks
# every paid run would wait behind all of them, and a crash in between leaves paid runs without a stored backend id.
_URGENT, _ORDINARY = 0, 1
_ACCEPTING, _RUNNING = "accepting", "running"
_ASKS_PER_URGENT_WRITE = 4


class _Store(Generic[S]):
    """An attribute of a transaction: a store that is constructed at its first use."""

    # A transaction uses a few of the twenty stores: most transactions of a job two to five.
    def __init__(self, create: Callable[[Statements], S]) -> None:
        self._create = create

    def __set_name__(self, owner: "type[Transaction]", name: str) -> None:
        self._name = name

    def __get__(self, transaction: "Transaction", owner: "type[Transaction]") -> S:
        store = self._create(transaction.statements)
        transaction.__dict__[self._name] = store  # found before this descriptor from now on
        return store


class Transaction:
    """An open transaction: stores for reading and writing, all on the same connection."""

    def __init__(self, connection: Connection) -> None:
        self.statements = Statements(connection)

    jobs = _Store(JobStore)
    predictions = _Store(PredictionStore)
    outputs = _Store(OutputStore)
    messages = _Store(MessageStore)
    ledger = _Store(LedgerStore)
    ledger_checks = _Store(LedgerChecks)
    checkpoints = _Store(CheckpointStore)
    policies = _Store(PolicyStore)
    rates = _Store(RateStore)
    people = _Store(PeopleStore)
    installations = _Store(InstallationStore)
    moderation = _Store(ModerationStore)
    audit = _Store(AuditStore)
    conversations = _Store(ConversationStore)
    workers = _Store(WorkerStore)
    inbox = _Store(InboxStore)
    pending = _Store(PendingStore)
    models = _Store(ModelStore)
    presets = _Store(PresetStore)
    feedback = _Store(FeedbackStore)
    erasure = _Store(ErasureStore)
    page = _Store(PageStore)
    visitors = _Store(VisitorStore)
    webhooks = _Store(WebhookStore)


class ConnectedEngine(Protocol):
    """SQLite or PostgreSQL, connected."""

    def write(self, key: str = "", weight: float = 1, *, priority: int = 0) -> AbstractAsyncContextManager[Connection]:
        """Wait in the queue of writes, see `FairQueue.hold`; give a connection whose changes last after the block."""
        ...

    def read(self) -> AbstractAsyncContextManager[Connection]: ...

    async def list_writers(self, table: str) -> set[str]: ...

    async def analyze(self) -> None: ...

    async def close(self) -> None: ...


class Database:
    """The rows of one bot, in SQLite (`sqlite:///path`) or PostgreSQL (`postgresql://user:password@host/name`).

    `timeout_seconds` limits the wait for a lock of another process or for a connection: then `Unavailable` is raised.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._engine: ConnectedEngine | None = None

    @property
    def is_exclusive(self) -> bool:
        """Whether no other process can open this database: SQLite's file lock prevents sharing."""
        return sa.make_url(self._url).get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connect, create or migrate the schema, and check the ledger's triggers.

        Raises `DatabaseInUse`, `LedgerTriggersMissing`, `Unavailable`, or `InternalError`.
        """
        engine = await connect(self._url, timeout_seconds=self._timeout_seconds)
        try:
            async with engine.write() as connection:
                with translate_errors():
                    await schema.prepare(connection)
            with translate_errors():
                await engine.analyze()
        except BaseException:
            await engine.close()
            raise
        self._engine = engine

    async def close(self) -> None:
        """Close all connections. Harmless when the database is not open."""
        engine, self._engine = self._engine, None
        if engine:
            await engine.close()

    @asynccontextmanager
    async def write(self, *, is_urgent: bool = False) -> AsyncIterator[Transaction]:
        """Give a transaction for changes, committed at the end of the block and rolled back on any error.

        Urgent writes (of accepted jobs) overtake ordinary writes in the write queue.
        Inside the block, await only the transaction's stores: SQLite has a single writer, and other writers wait.
        """
        priority = _URGENT if is_urgent else _ORDINARY
        async with self._get_engine().write(_RUNNING, priority=priority) as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def accept(self) -> AsyncIterator[Transaction]:
        """Give a transaction for changes that a person waits for, such as a new job, as `write` does.

        Such transactions wait for each other, and for an urgent write after every `_ASKS_PER_URGENT_WRITE` of them.
        """
        async with self._get_engine().write(_ACCEPTING, _ASKS_PER_URGENT_WRITE, priority=_URGENT) as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Give a read-only transaction with a snapshot of the database."""
        async with self._get_engine().read() as connection:
            yield Transaction(connection)

    async def list_writers(self, table: str) -> set[str]:
        """List the open transactions whose new rows of a table may have smaller ids than rows already visible."""
        with translate_errors():
            return await self._get_engine().list_writers(table)

    def _get_engine(self) -> ConnectedEngine:
        if self._engine is None:
            raise Unavailable("The bot is starting or stopping. Nothing was lost: please try again in a moment.")
        return self._engine


async def connect(url: str, *, timeout_seconds: float) -> ConnectedEngine:
    """Connect to the database of a URL. Raises `DatabaseInUse`, `Unavailable` or `InternalError`."""
    if sa.make_url(url).get_backend_name() == "sqlite":
        return await SqliteEngine.open(parse_path(url), timeout_seconds=timeout_seconds)
    # Imported only for PostgreSQL: SQLAlchemy's asyncio package imports the ORM, 12 MB and 0.15 s of a start.
    from bot.storage.postgresql import PostgresqlEngine

    return PostgresqlEngine(url, timeout_seconds=timeout_seconds)
