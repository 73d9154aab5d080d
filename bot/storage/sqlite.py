"""Connects to a SQLite file through aiosqlite: one writer, up to five read-only readers, one process.

Several writers on the same file are unfair (measured: p99 up to 4.65 s), and a deferred transaction with a read before
the write fails with "database is locked", however long the timeout: hence a single writer and BEGIN IMMEDIATE.
"""

import asyncio
import functools
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import aiosqlite
import sqlalchemy as sa

from bot.core.background_tasks import BackgroundTasks
from bot.core.errors import DatabaseInUse, InternalError, Unavailable
from bot.core.fair_queue import FairQueue
from bot.core.private_files import create_private_file, create_private_folder, lock_file, restrict
from bot.storage.connection import Parameters, Row, RowCheck, translate_errors

T = TypeVar("T")
_Posted: TypeAlias = tuple[sa.Executable, Parameters | None, RowCheck | None]

# Exports and snapshots of the page take up to three for a while: two are left for everybody else.
_MAX_READERS = 5
_BEGIN_WRITING = "BEGIN IMMEDIATE"

_ANALYZED_ROWS = 400
"""The sample of each index for statistics: SQLite's own advice. Statistics of a million jobs then take milliseconds."""

WRITES_PER_ANALYSIS = 10_000


_MAX_WRITES_PER_COMMIT = 8
"""Writes that reach the disk together: the first waits for the others, a few milliseconds each."""

# The commit of a group waits in the queue of writes, behind every write that may still join; a full group goes first.
_COMMIT_PRIORITY, _FULL_PRIORITY = 9, -1


class SqliteEngine:
    """The open connections to one file."""

    def __init__(
        self,
        writer: "SqliteConnection",
        open_reader: Callable[[], Awaitable["SqliteConnection"]],
        cleanup: AsyncExitStack,
    ) -> None:
        self._writer = writer
        self._open_reader = open_reader
        self._queue = FairQueue(1)
        self._group: _WriteGroup | None = None
        self._tasks = BackgroundTasks("sqlite")
        self._readings = asyncio.Semaphore(_MAX_READERS)
        self._opening = asyncio.Lock()
        self._idle_readers: list[SqliteConnection] = []
        self._cleanup = cleanup

    @classmethod
    async def open(cls, path: Path, *, timeout_seconds: float) -> "SqliteEngine":
        """Lock the file, create it if missing, and open the writer. Other users of the machine cannot read the file.

        Raises `DatabaseInUse` while another process has the file, or `Unavailable`.
        """
        with _translate_file_errors(path):
            create_private_folder(path.parent)
        pragmas = ("foreign_keys = ON", f"busy_timeout = {int(timeout_seconds * 1000)}", "synchronous = FULL")
        # Without recursive triggers, REPLACE deletes rows of the ledger and fires no DELETE trigger.
        writing = (*pragmas, "journal_mode = WAL", "recursive_triggers = ON", f"analysis_limit = {_ANALYZED_ROWS}")
        async with AsyncExitStack() as stack:
            stack.callback(FileLock(path).release)
            # SQLite gives the log and the index of the log the mode of the database.
            with _translate_file_errors(path):
                create_private_file(path)
            for suffix in ("-wal", "-shm"):
                restrict(Path(f"{path}{suffix}"))
            writer = await SqliteConnection.open(path, writing, _BEGIN_WRITING)
            stack.push_async_callback(writer.close)
            # Runs before the writer closes and after all readers have: an open reader would keep the log from emptying.
            stack.push_async_callback(writer.checkpoint)
            stack.push_async_callback(writer.analyze)
            reading = (*pragmas, "query_only = ON")
            return cls(writer, lambda: SqliteConnection.open(path, reading, "BEGIN"), stack.pop_all())

    @asynccontextmanager
    async def write(self, key: str = "", weight: float = 1, *, priority: int = 0) -> AsyncIterator["SqliteConnection"]:
        """Give the writer, inside a write of its own: on the disk at the end, or undone alone on any error.

        Writes that wait for each other reach the disk in one transaction: the disk takes most of the time of a small
        write. Raises `Unavailable` when the commit fails.
        """
        async with self._queue.hold(key, weight, priority=priority):
            async with self._writer.one_write():
                yield self._writer
                # A task for the commit of a group takes a tenth of a small write: a lonely write needs no group.
                is_alone = self._group is None and not self._queue.waiting_count
                if not is_alone:
                    await self._writer.run_posted()  # inside its write: an error undoes this write alone
            if is_alone:
                await self._writer.commit()
                return
            self._writer.keep_write()
            group = self._join_group()
        await asyncio.shield(group.committed)

    @asynccontextmanager
    async def read(self) -> AsyncIterator["SqliteConnection"]:
        """Give an idle reader, inside a transaction with a snapshot of the file."""
        async with self._readings:
            while not self._idle_readers:
                # The connection of a cancelled reading serves the next reading.
                await self._tasks.run_to_end(self._add_reader(), "reader")
            reader = self._idle_readers.pop()  # the reader used last: its page cache is warm
            try:
                async with reader.reading():
                    yield reader
            finally:
                self._idle_readers.append(reader)

    async def list_writers(self, table: str) -> set[str]:
        """List nothing: the single writer gives ids in the order of the commits."""
        return set()

    async def analyze(self) -> None:
        """Collect statistics for the query planner, if there are none. Later ones follow some writes, and `close`."""
        await self._writer.analyze(is_first=True)

    async def close(self) -> None:
        """Close the readers, collect statistics, write the log back, close the writer, and release the lock."""
        await self._tasks.drain()
        await self._cleanup.aclose()

    async def _add_reader(self) -> None:
        async with self._opening:
            if self._idle_readers:  # opened for a reading that was cancelled, or given back
                return
            try:
                reader = await self._open_reader()
            except InternalError as error:  # the writer could open the file: now too many files are open
                raise Unavailable("The database cannot be read just now. Please try again in a moment.") from error
            self._cleanup.push_async_callback(reader.close)
            self._idle_readers.append(reader)

    def _join_group(self) -> "_WriteGroup":
        group = self._group
        if group is None:
            group = self._group = _WriteGroup()
            # A task of its own: a cancelled write must not keep the others from the disk.
            self._tasks.spawn(self._commit(group, _COMMIT_PRIORITY), "commit")
        group.size += 1
        if group.size == _MAX_WRITES_PER_COMMIT:
            self._tasks.spawn(self._commit(group, _FULL_PRIORITY), "commit")
        return group

    async def _commit(self, group: "_WriteGroup", priority: int) -> None:
        """Commit a group, unless the group is committed already."""
        async with self._queue.hold(priority=priority):
            if self._group is not group:
                return
            self._group = None
            try:
                await self._writer.commit()
            except Exception as error:  # each write of the group raises the error
                group.committed.set_exception(error)
            else:
                group.committed.set_result(None)


class _WriteGroup:
    """Writes in one transaction of the file. `committed` is done once the transaction is on the disk, or has failed."""

    def __init__(self) -> None:
        self.size = 0
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A cancelled write reads no result: reading the error here keeps asyncio from reporting the error as unread.
        self.committed.add_done_callback(lambda committed: committed.exception())


@dataclass(frozen=True, slots=True)
class FetchedRows:
    """The rows of a statement, fetched in the connection's thread. Implements `connection.Rows`."""

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


class SqliteConnection:
    """An aiosqlite connection, with SQLAlchemy running in the connection's thread. Implements `connection.Connection`.

    A statement crosses to the thread once: SQLAlchemy compiles, executes and fetches there. SQLAlchemy's own aiosqlite
    dialect crosses four times (cursor, execute, fetch, close) and needs the ORM: measured here, 2.5 times the CPU of a
    transaction and 12 MB (docs/design.md). As in SQLAlchemy's dialect, three private names of aiosqlite are used
    (`_execute`, `_tx`, `_thread`), since no public call runs a function in the thread.
    """

    _sqlalchemy: sa.Connection  # used in the thread alone, as are _begin, _has_begun, _is_writing and _is_lost

    def __init__(self, path: Path, pragmas: Sequence[str], begin: str) -> None:
        self._path = path
        self._pragmas = pragmas
        self._begin = begin
        self._has_begun = False
        self._is_writer = begin == _BEGIN_WRITING
        self._is_writing = False
        self._is_lost = False
        # Of the loop alone: whether the block of `reading` ran a statement, and the statements that wait for the next.
        self._is_used = False
        self._posted: list[_Posted] = []
        self._write_count = 0  # kept writes of the open transaction
        self._commit_count = 0
        self._driver = aiosqlite.Connection(self._connect, iter_chunk_size=64)
        # A process that ends without closing the database must not wait for this thread for ever.
        self._driver._thread.daemon = True

    @classmethod
    async def open(cls, path: Path, pragmas: Sequence[str], begin: str) -> "SqliteConnection":
        """Connect to a file. Raises `Unavailable` or `InternalError`.

        `begin` opens each transaction, e.g. `BEGIN IMMEDIATE`.
        """
        connection = cls(path, pragmas, begin)
        with translate_errors():
            await connection._driver
        return connection

    @property
    def dialect(self) -> sa.Dialect:
        return _get_engine().dialect

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> FetchedRows:
        """Run a statement. The first statement of a transaction also begins the transaction."""
        return await self._run_in_transaction(lambda connection: _fetch(connection.execute(statement, parameters)))

    async def post(
        self, statement: sa.Executable, parameters: Parameters | None = None, check: RowCheck | None = None
    ) -> None:
        """Run a statement together with the next one, or with the commit."""
        self._posted.append((statement, parameters, check))

    async def run_posted(self) -> None:
        """Run the posted statements now. Raise their errors as `Statements.run` does."""
        if self._posted:
            with translate_errors():
                await self._run_in_transaction(lambda connection: None)

    async def stream(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> "SqliteRowStream":
        """Run a statement, and leave the rows in the database until they are read."""
        result = await self._run_in_transaction(lambda connection: connection.execute(statement, parameters))
        return SqliteRowStream(self, result)

    async def exec_driver_sql(self, statement: str) -> FetchedRows:
        """Run SQL text exactly as written."""
        return await self._run_in_transaction(lambda connection: _fetch(connection.exec_driver_sql(statement)))

    async def run_sync(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a function with the SQLAlchemy connection, in the thread."""
        return await self._run_in_transaction(lambda connection: work(connection, *arguments, **options))

    @asynccontextmanager
    async def one_write(self) -> AsyncIterator["SqliteConnection"]:
        """Undo the changes of the block, and no others, on any error; after the block call `keep_write` or `commit`."""
        try:
            yield self
        except BaseException:
            self._posted = []
            # The thread runs calls in order: the next write cannot begin before this one is undone.
            self._post(self._undo_write)
            raise

    def keep_write(self) -> None:
        """Keep the changes of the last write in the open transaction."""
        self._post(self._keep_write)

    async def commit(self) -> None:
        """Commit the open transaction with the last write, or roll it back and raise `Unavailable`.

        Raise the error of a posted statement, as `Statements.run` does; then too all is rolled back.
        """
        posted = self._take_posted()

        def call() -> None:
            if posted:
                self._execute_posted(posted)
            self._commit()

        try:
            with translate_errors():
                await self._run(call)
        except BaseException:
            self._post(self._roll_back)
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["SqliteConnection"]:
        """Roll back at the end, without waiting: a reading has nothing to lose."""
        self._is_used = False
        try:
            yield self
        finally:
            # Caches answer many readings: the thread need not wake up for those.
            if self._is_used:
                self._post(self._roll_back)

    async def checkpoint(self) -> None:
        """Write the log back into the file, unless another process reads the file."""
        with suppress(sa.exc.SQLAlchemyError):
            await self._run(lambda: self._sqlalchemy.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)"))

    async def analyze(self, *, is_first: bool = False) -> None:
        """Collect statistics from samples, with `is_first` only if there are none. Plans do not depend on them."""
        with suppress(sa.exc.SQLAlchemyError):
            await self._run(self._analyze_first if is_first else self._analyze)

    async def close(self) -> None:
        """Roll back, close the connection, and end the thread."""
        await self._run(self._close)
        await self._driver.close()

    async def _run_in_transaction(self, work: Callable[[sa.Connection], T]) -> T:
        posted = self._take_posted()

        def call() -> T:
            self._execute_posted(posted)
            return work(self._sqlalchemy)

        self._is_used = True
        return await self._run(call)

    def _take_posted(self) -> Sequence[_Posted]:
        posted, self._posted = self._posted, []
        return posted

    def _execute_posted(self, posted: Sequence[_Posted]) -> None:
        """Begin the transaction and the write, if needed, and run statements."""
        if not self._has_begun:
            self._control(self._begin)
            self._has_begun = True
        if self._is_writer and not self._is_writing:
            if self._write_count:  # the first write is undone by undoing all
                self._control("SAVEPOINT one_write")
            self._is_writing = True
        for statement, parameters, check in posted:
            rows = _fetch(self._sqlalchemy.execute(statement, parameters))
            if check is not None:
                check(rows)

    async def _run(self, work: Callable[[], T]) -> T:
        """Call a function in the thread. The call runs to its end even when the caller is cancelled meanwhile."""
        return cast(T, await self._driver._execute(work))  # type: ignore[no-untyped-call]  # aiosqlite's own

    def _post(self, work: Callable[[], None]) -> None:
        """Queue a call for the thread and do not wait. Awaiting here would let a cancelled task skip its rollback."""
        self._driver._tx.put_nowait((None, work))

    def _connect(self) -> sqlite3.Connection:
        _opening.path, _opening.pragmas = self._path, self._pragmas
        self._sqlalchemy = _get_engine().connect()
        return self._sqlite

    def _keep_write(self) -> None:
        if not self._is_writing:
            return
        self._is_writing = False
        self._write_count += 1
        if self._write_count > 1:
            try:
                self._control("RELEASE one_write")
            except sa.exc.SQLAlchemyError:
                self._is_lost = True

    def _undo_write(self) -> None:
        if not self._is_writing:
            return
        self._is_writing = False
        if not self._write_count:
            self._roll_back()
        elif self._sqlite.in_transaction:
            self._control("ROLLBACK TO one_write")
            self._control("RELEASE one_write")
        else:
            # After some errors, such as a full disk, SQLite has rolled back the other writes too.
            self._has_begun, self._is_lost = False, True

    @property
    def _sqlite(self) -> sqlite3.Connection:
        return cast(sqlite3.Connection, self._sqlalchemy.connection.driver_connection)

    def _control(self, statement: str) -> None:
        """Begin or end a transaction or a savepoint; raise SQLAlchemy's errors."""
        # A job has some forty such statements, and SQLAlchemy takes many times as long as SQLite for each.
        try:
            self._sqlite.execute(statement).close()
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(statement, None, error, sqlite3.Error) from error

    def _commit(self) -> None:
        self._keep_write()
        if self._is_lost:
            raise Unavailable("The database lost the last changes. Please try again in a moment.")
        if self._has_begun:
            self._control("COMMIT")
            self._has_begun, self._write_count = False, 0
            self._commit_count += 1
            if self._commit_count % WRITES_PER_ANALYSIS == 0:
                self._post(self._analyze)

    def _roll_back(self) -> None:
        self._is_lost = self._is_writing = False
        self._write_count = 0
        if self._has_begun:
            self._has_begun = False
            with suppress(sa.exc.SQLAlchemyError):  # after some errors, SQLite has rolled back already
                self._control("ROLLBACK")

    def _analyze(self) -> None:
        with suppress(sa.exc.SQLAlchemyError):  # a full disk, for example: the next time will do
            self._sqlalchemy.exec_driver_sql("ANALYZE")

    def _analyze_first(self) -> None:
        found = self._sqlalchemy.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").first()
        if found is None or self._sqlalchemy.exec_driver_sql("SELECT 1 FROM sqlite_stat1").first() is None:
            self._analyze()

    def _close(self) -> None:
        self._roll_back()
        self._sqlalchemy.close()


class SqliteRowStream:
    """The rows of a running statement, fetched in the connection's thread. Implements `connection.RowStream`."""

    def __init__(self, connection: SqliteConnection, result: "sa.CursorResult[*tuple[Any, ...]]") -> None:
        self._connection = connection
        self._result = result

    async def partitions(self, size: int | None = None) -> AsyncIterator[Sequence[Row]]:
        while portion := await self._connection._run(lambda: self._result.fetchmany(size)):
            yield portion

    async def close(self) -> None:
        self._connection._post(self._result.close)


class FileLock:
    """A lock on a file beside the database, held from construction until `release` or the end of the process.

    Raises `DatabaseInUse` while another process holds the lock.
    """

    def __init__(self, database: Path) -> None:
        lock = Path(f"{database}.lock")
        with _translate_file_errors(database):
            create_private_file(lock)
            self._file = lock.open("ab")
        try:
            lock_file(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise DatabaseInUse(
                f"Another Easel is using this database ({database}): stop it first, or use PostgreSQL to run several."
            ) from error

    def release(self) -> None:
        """Unlock. The file stays: after its removal two processes could lock two different files."""
        self._file.close()


def parse_path(url: str) -> Path:
    """Give the file of `sqlite:///relative.db` or `sqlite:////absolute.db`. Raises `Unavailable` without a file."""
    name = sa.make_url(url).database
    if not name or name == ":memory:":
        raise Unavailable("SQLite needs a file: DATABASE_URL=sqlite:///easel.db, for instance.")
    return Path(name)


@contextmanager
def _translate_file_errors(database: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(
            f"The database {str(database)!r} cannot be opened: {reason}. "
            "Give its folder to the bot's user, or choose another DATA_DIR or DATABASE_URL."
        ) from error


class _Opening(threading.local):
    """The file and the pragmas of the connection that this thread opens."""

    path: Path
    pragmas: Sequence[str]


_opening = _Opening()


def _open_file() -> sqlite3.Connection:
    connection = sqlite3.connect(_opening.path, check_same_thread=False)
    for pragma in _opening.pragmas:
        connection.execute(f"PRAGMA {pragma}").close()
    return connection


@functools.cache
def _get_engine() -> sa.Engine:
    """Return the engine of all connections of the process: a statement is compiled once, not once for each engine."""
    return sa.create_engine(
        "sqlite://",
        isolation_level="AUTOCOMMIT",  # SqliteConnection sends BEGIN itself
        poolclass=sa.pool.NullPool,  # each SqliteConnection keeps one connection
        creator=_open_file,
    )


def _fetch(result: sa.CursorResult[Any]) -> FetchedRows:
    count = result.rowcount
    return FetchedRows(result.all() if result.returns_rows else (), count)
