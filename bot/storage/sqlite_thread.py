"""A connection in a thread of its own: SQLite waits for the disk, and must not make the event loop wait with it.

One hop to the thread for each statement. aiosqlite takes four (cursor, execute, fetch, close), and brings SQLAlchemy's
ORM along: measured here, 2.5 times the CPU of a transaction and 12 MB (docs/design.md).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.storage.connection import Parameters
from bot.storage.errors import translate_errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FetchedRows:
    """`speaking.Rows`, fetched in the thread."""

    rows: Sequence[sa.Row[*tuple[Any, ...]]]
    rowcount: int

    def __iter__(self) -> Iterator[sa.Row[*tuple[Any, ...]]]:
        return iter(self.rows)

    def first(self) -> sa.Row[*tuple[Any, ...]] | None:
        return self.rows[0] if self.rows else None

    def scalar_one(self) -> Any:
        (row,) = self.rows
        return row[0]

    def scalar_one_or_none(self) -> Any:
        return self.scalar_one() if self.rows else None


class ThreadConnection:
    """One connection of a synchronous engine. Only its own thread touches it; calls run in the order they come."""

    def __init__(self, engine: sa.Engine, begin: str) -> None:
        """`begin` opens each transaction, e.g. `BEGIN IMMEDIATE`."""
        self._engine = engine
        self._begin = begin
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sa.Connection | None = None
        self._has_begun = False

    @property
    def dialect(self) -> sa.Dialect:
        return self._engine.dialect

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> FetchedRows:
        """Run one statement; the first of a transaction begins it."""
        return await self._do(lambda connection: _rows(connection.execute(statement, parameters)))

    async def exec_driver_sql(self, statement: str) -> FetchedRows:
        """Run one statement as it is written."""
        return await self._do(lambda connection: _rows(connection.exec_driver_sql(statement)))

    async def run_sync(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Give the connection to something synchronous, in the thread."""
        return await self._do(lambda connection: work(connection, *arguments, **options))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["ThreadConnection"]:
        """Committed at the end, rolled back on any error. Raises `Unavailable` when it cannot begin or end."""
        try:
            yield self
            with translate_errors():
                await self._hop(self._commit)
        except BaseException:
            self._thread.submit(self._roll_back)  # in line behind what still runs; nobody has to wait for it
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["ThreadConnection"]:
        """A transaction that changes nothing: its end is not waited for."""
        try:
            yield self
        finally:
            self._thread.submit(self._roll_back)

    async def checkpoint(self) -> None:
        """Write the log back into the file, unless somebody else reads it."""
        with suppress(sa.exc.SQLAlchemyError):
            await self._hop(lambda: self._opened().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)"))

    async def close(self) -> None:
        """Let the connection and the thread go."""
        await self._hop(self._close)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[sa.Connection], T]) -> T:
        def in_thread() -> T:
            connection = self._opened()
            if not self._has_begun:
                connection.exec_driver_sql(self._begin)
                self._has_begun = True
            return work(connection)

        return await self._hop(in_thread)

    async def _hop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _opened(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _commit(self) -> None:
        if self._has_begun:
            self._opened().exec_driver_sql("COMMIT")
            self._has_begun = False

    def _roll_back(self) -> None:
        if self._has_begun:
            self._has_begun = False
            with suppress(sa.exc.SQLAlchemyError):  # SQLite may have rolled back by itself
                self._opened().exec_driver_sql("ROLLBACK")

    def _close(self) -> None:
        self._roll_back()
        if self._connection is not None:
            self._connection.close()


def _rows(result: sa.CursorResult[Any]) -> FetchedRows:
    count = result.rowcount
    return FetchedRows(result.all() if result.returns_rows else (), count)
