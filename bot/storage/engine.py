"""The database: opened once, then transactions for whoever asks."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import sqlalchemy as sa

from bot.core.errors import Unavailable
from bot.core.storage import Transaction
from bot.storage import schema
from bot.storage.speaking import Speaking
from bot.storage.sqlite import SqliteEngine, path_of
from bot.storage.statements import Statements, our_errors
from bot.storage.transaction import SqlTransaction
from bot.storage.writers import WriterLine


class ConnectedEngine(Protocol):
    """What SQLite and PostgreSQL each do in their own way."""

    writers: int

    def write(self) -> AbstractAsyncContextManager[Speaking]: ...

    def read(self) -> AbstractAsyncContextManager[Speaking]: ...

    async def close(self) -> None: ...


class SqlDatabase:
    """Implements `core.storage.Database` on `sqlite:///path` or `postgresql://user:password@host/name`.

    `seconds_to_wait` is how long a lock of somebody else is waited for before `Unavailable` is raised.
    """

    def __init__(self, url: str, *, seconds_to_wait: float = 5.0) -> None:
        self._url = url
        self._seconds_to_wait = seconds_to_wait
        self._engine: ConnectedEngine | None = None
        self._line = WriterLine(1)

    @property
    def is_exclusive(self) -> bool:
        """Whether this process is the only one that can have the database: SQLite's file lock sees to it."""
        return sa.make_url(self._url).get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connect, make or migrate the schema, and check what guards the money.

        Raises `DatabaseInUse`, `LedgerUnguarded`, `Unavailable`, or `Fault`.
        """
        engine = connect(self._url, seconds_to_wait=self._seconds_to_wait)
        try:
            async with engine.write() as connection:
                with our_errors():
                    await schema.prepare(connection)
        except BaseException:
            await engine.close()
            raise
        self._engine, self._line = engine, WriterLine(engine.writers)

    async def close(self) -> None:
        """Let the connections go. Harmless when it is not open."""
        engine, self._engine = self._engine, None
        if engine:
            await engine.close()

    @asynccontextmanager
    async def write(self, *, is_urgent: bool = False) -> AsyncIterator[Transaction]:
        async with self._line.place(is_urgent=is_urgent), self._opened().write() as connection:
            yield SqlTransaction(Statements(connection))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        async with self._opened().read() as connection:
            yield SqlTransaction(Statements(connection))

    def _opened(self) -> ConnectedEngine:
        if self._engine is None:
            raise Unavailable("The bot is starting or stopping. Nothing was lost: please try again in a moment.")
        return self._engine


def connect(url: str, *, seconds_to_wait: float) -> ConnectedEngine:
    """The engine that a URL names. Raises `DatabaseInUse`, or `Unavailable` where SQLite has no file."""
    if sa.make_url(url).get_backend_name() == "sqlite":
        return SqliteEngine(path_of(url), seconds_to_wait=seconds_to_wait)
    # SQLAlchemy's asyncio brings its ORM along: 12 MB and 0.15 s that SQLite does without.
    from bot.storage.postgresql import PostgresqlEngine

    return PostgresqlEngine(url, seconds_to_wait=seconds_to_wait)
