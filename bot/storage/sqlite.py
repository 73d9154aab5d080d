"""SQLite: one writer, a few read-only readers, and a lock that keeps a second process out.

Measured in facts/storage.md: several writers on one file are unfair (p99 up to 4.65 s), and reading before writing
in a deferred transaction ends "database is locked" whatever the timeout.
"""

from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.core.errors import Unavailable
from bot.storage.connections import transaction
from bot.storage.lock import FileLock

_READERS = 3


class SqliteEngine:
    """The connections to one file. Raises `DatabaseInUse` when another process has it."""

    writers = 1

    def __init__(self, path: Path, *, seconds_to_wait: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path)
        pragmas = ("foreign_keys = ON", f"busy_timeout = {int(seconds_to_wait * 1000)}", "synchronous = FULL")
        # REPLACE deletes without asking the DELETE triggers, unless they are recursive.
        writing = ("journal_mode = WAL", "recursive_triggers = ON")
        self._writer = _engine(path, 1, *pragmas, *writing)
        self._readers = _engine(path, _READERS, *pragmas, "query_only = ON")

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return transaction(self._writer, "BEGIN IMMEDIATE")

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return transaction(self._readers, "BEGIN")

    async def close(self) -> None:
        """Write the log back into the file, and let the next process in."""
        await self._readers.dispose()
        with suppress(sa.exc.SQLAlchemyError):  # somebody else reads the file: the log stays beside it
            async with self._writer.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._writer.dispose()
        self._lock.release()


def path_of(url: str) -> Path:
    """The file that `sqlite:///relative.db` or `sqlite:////absolute.db` names."""
    name = sa.make_url(url).database
    if not name or name == ":memory:":
        raise Unavailable("SQLite needs a file: DATABASE_URL=sqlite:///easel.db, for instance.")
    return Path(name)


def _engine(path: Path, connections: int, *pragmas: str) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # we say BEGIN ourselves
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # `transaction` has ended it
    )

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
