"""SQLite: one writer, a few read-only readers, and a lock that keeps a second process out.

Measured before this was chosen: several writers on one file are unfair (p99 up to 4.65 s), and reading before writing
in a deferred transaction ends "database is locked" whatever the timeout.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.core.errors import DatabaseInUse, Unavailable
from bot.storage.sqlite_thread import ThreadConnection

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
        self._engines = (_engine(path, *pragmas, *writing), _engine(path, *pragmas, "query_only = ON"))
        self._writer = ThreadConnection(self._engines[0], "BEGIN IMMEDIATE")
        self._readers = [ThreadConnection(self._engines[1], "BEGIN") for _ in range(_READERS)]
        self._idle: asyncio.LifoQueue[ThreadConnection] = asyncio.LifoQueue()
        for reader in self._readers:
            self._idle.put_nowait(reader)

    def write(self) -> AbstractAsyncContextManager[ThreadConnection]:
        return self._writer.transaction()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ThreadConnection]:
        reader = await self._idle.get()
        try:
            async with reader.reading():
                yield reader
        finally:
            self._idle.put_nowait(reader)

    async def close(self) -> None:
        """Write the log back into the file, and let the next process in."""
        for reader in self._readers:
            await reader.close()
        await self._writer.checkpoint()
        await self._writer.close()
        for engine in self._engines:
            engine.dispose()
        self._lock.release()


def path_of(url: str) -> Path:
    """The file that `sqlite:///relative.db` or `sqlite:////absolute.db` names."""
    name = sa.make_url(url).database
    if not name or name == ":memory:":
        raise Unavailable("SQLite needs a file: DATABASE_URL=sqlite:///easel.db, for instance.")
    return Path(name)


def _engine(path: Path, *pragmas: str) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # we say BEGIN ourselves
        poolclass=sa.pool.NullPool,  # each thread keeps its one connection
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class FileLock:
    """Held from construction until `release`. Raises `DatabaseInUse` when another process holds it."""

    def __init__(self, database: Path) -> None:
        self._file = open(f"{database}.lock", "ab")  # noqa: SIM115 - held while open
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise DatabaseInUse(
                f"Another Easel is using this database ({database}): stop it first, or use PostgreSQL to run several."
            ) from error

    def release(self) -> None:
        """Let the next process in. The file stays: removing it would let two processes lock two files."""
        self._file.close()


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
