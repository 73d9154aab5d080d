"""Connects to PostgreSQL through a pool of asyncpg connections. Any number of processes may share the database."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.dml import OnConflictClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.core.fair_queue import FairQueue
from bot.storage.connection import Connection, Parameters, RowCheck, Rows, RowStream, translate_errors
from bot.storage.database_urls import convert_query

T = TypeVar("T")

# The stores write ON CONFLICT with SQLite's class: PostgreSQL's would load a second dialect in every bot. PostgreSQL's
# compiler reads one name more, a constraint as the target, which no statement has.
OnConflictClause.constraint_target = None  # type: ignore[attr-defined]  # of PostgreSQL's class alone

_WRITERS, _READERS = 10, 5

# After an upgrade of the server or a restored backup, a large table has no statistics until autovacuum comes by.
_FIND_UNANALYZED = """
    SELECT relname FROM pg_stat_user_tables WHERE schemaname = current_schema() AND n_live_tup > 1000
    AND last_analyze IS NULL AND last_autoanalyze IS NULL ORDER BY relname"""

# A transaction takes this lock before its first row gets an id, and gives it back once its rows are visible
# (postgresql.org/docs/current/explicit-locking.html).
_FIND_WRITERS = """
    SELECT virtualtransaction FROM pg_locks WHERE granted AND mode = 'RowExclusiveLock' AND relation = '{}'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class PostgresqlEngine:
    """The connection pool of one database."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._engine = create_async_engine(
            _convert_url(url),
            pool_size=_WRITERS + _READERS,
            max_overflow=0,
            connect_args={
                "timeout": timeout_seconds,
                "prepared_statement_cache_size": 500,
                "server_settings": {
                    "application_name": "easel",
                    "lock_timeout": str(int(timeout_seconds * 1000)),
                    # All statements are short: compiling a plan costs more than running the statement.
                    "jit": "off",
                },
            },
        )
        self._queue = FairQueue(_WRITERS)
        # REPEATABLE READ gives a reading one snapshot; read-only refuses a write by mistake.
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def write(self, key: str = "", weight: float = 1, *, priority: int = 0) -> AsyncIterator[Connection]:
        """Give a connection inside a transaction: committed at the end, rolled back on any error."""
        async with self._queue.hold(key, weight, priority=priority), open_transaction(self._engine) as connection:
            yield connection

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection inside a read-only transaction with one snapshot."""
        return open_transaction(self._reading)

    async def list_writers(self, table: str) -> set[str]:
        """List the open transactions, of all processes, with changes of a table."""
        async with self.read() as connection:
            return {str(writer) for (writer,) in await connection.exec_driver_sql(_FIND_WRITERS.format(table))}

    async def analyze(self) -> None:
        """Collect statistics of grown tables without any. Autovacuum collects all later ones."""
        async with self.write() as connection:
            for (table,) in await connection.exec_driver_sql(_FIND_UNANALYZED):
                await connection.exec_driver_sql(f'ANALYZE "{table}"')

    async def close(self) -> None:
        """Close all connections of the pool."""
        await self._engine.dispose()


class PooledConnection:
    """A connection of the pool, which buffers all rows. Implements `connection.Connection`.

    asyncpg sends a statement without a thread: a posted statement gains nothing by waiting.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> sa.Dialect:
        return self._connection.dialect

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Run a statement."""
        return cast("Rows", await self._connection.execute(statement, parameters))

    async def post(
        self, statement: sa.Executable, parameters: Parameters | None = None, check: RowCheck | None = None
    ) -> None:
        """Run a statement now."""
        rows = await self.execute(statement, parameters)
        if check is not None:
            check(rows)

    async def stream(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> RowStream:
        """Run a statement, and leave the rows in the database until they are read."""
        return cast("RowStream", await self._connection.stream(statement, parameters))

    async def exec_driver_sql(self, statement: str) -> Rows:
        """Run SQL text exactly as written."""
        return cast("Rows", await self._connection.exec_driver_sql(statement))

    async def run_sync(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> T:
        """Call a function with SQLAlchemy's connection."""
        return await self._connection.run_sync(work, *arguments, **options)


def _convert_url(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    # A doubled name of the query is a tuple: the last counts, as in libpq.
    query = {name: value if isinstance(value, str) else value[-1] for name, value in parsed.query.items()}
    return parsed.set(drivername="postgresql+asyncpg", query=convert_query(query))


@asynccontextmanager
async def open_transaction(engine: AsyncEngine) -> AsyncIterator[Connection]:
    """Give a pooled connection inside a transaction. Raises `Unavailable` when the begin or the commit fails."""
    with translate_errors():
        connection = await engine.connect()
    try:
        yield PooledConnection(connection)
        with translate_errors():
            await connection.commit()
    except BaseException:
        # Roll back on cancellation too: the pool hands the connection to the next task. A failed rollback is not
        # reported: the first error tells more.
        with suppress(sa.exc.SQLAlchemyError, OSError):
            await connection.rollback()
        raise
    finally:
        await connection.close()
