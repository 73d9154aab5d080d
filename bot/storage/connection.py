"""Defines the connection interface of both engines, runs statements, and translates the drivers' errors into ours."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.core.errors import (
    AlreadyClaimed,
    Conflict,
    DuplicateEntry,
    DuplicatePress,
    DuplicateRequest,
    EaselError,
    InternalError,
    Overdrawn,
    Unavailable,
)

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Row: TypeAlias = "sa.Row[*tuple[Any, ...]]"
T = TypeVar("T")

PORTION_ROWS = 25
"""Rows of a stream in memory at once. A row of the page has up to 100,000 characters: converting so many such rows to
text blocks the loop for some ten milliseconds."""


class Rows(Protocol):
    """The rows of one statement, already in memory: reading them sends no query."""

    @property
    def rowcount(self) -> int:
        """The number of rows inserted, updated or deleted."""
        ...

    def __iter__(self) -> Iterator[sa.Row[*tuple[Any, ...]]]: ...

    def first(self) -> sa.Row[*tuple[Any, ...]] | None: ...

    def scalar_one(self) -> Any: ...

    def scalar_one_or_none(self) -> Any: ...


RowCheck: TypeAlias = Callable[[Rows], None]


class RowStream(Protocol):
    """The rows of one statement, read from the database in portions."""

    def partitions(self, size: int | None = None) -> AsyncIterator[Sequence[Row]]:
        """Give the rows in portions of `size`."""
        ...

    async def close(self) -> None:
        """End the reading, also before the last row."""
        ...


class Connection(Protocol):
    """A connection inside one transaction. Methods raise the driver's own errors."""

    @property
    def dialect(self) -> sa.Dialect: ...

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Run one statement, once for each set of parameters."""
        ...

    async def post(
        self, statement: sa.Executable, parameters: Parameters | None = None, check: RowCheck | None = None
    ) -> None:
        """Run one statement with the next one or the commit at the latest; its errors and the check's come then."""
        ...

    async def stream(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> RowStream:
        """Run one statement, and keep the rows in the database until they are read."""
        ...

    async def exec_driver_sql(self, statement: str) -> Rows:
        """Run SQL text exactly as written."""
        ...

    async def run_sync(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> T:
        """Call a synchronous function, for example Alembic's upgrade, with SQLAlchemy's connection."""
        ...


class Statements:
    """Runs the statements of all stores of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Run one statement. Raises a `Conflict`, `Unavailable` or `InternalError`."""
        with translate_errors():
            return await self._connection.execute(statement, parameters)

    async def post(
        self, statement: sa.Executable, parameters: Parameters | None = None, check: RowCheck | None = None
    ) -> None:
        """Run one statement of a write whose rows nobody needs before the commit.

        On SQLite the statement waits for the next one or the commit: a crossing to the thread costs more than most
        statements. The next statement sees the changes; errors, as `run` raises, come there or at the end of the write.
        `check` reads the rows, perhaps in another thread, and raises an error to roll the write back.
        """
        with translate_errors():
            await self._connection.post(statement, parameters, check)

    async def stream(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Sequence[Row]]:
        """Give the rows of a statement in portions of `PORTION_ROWS`. Close the generator within the transaction."""
        with translate_errors():
            rows = await self._connection.stream(statement, parameters)
        try:
            portions = rows.partitions(PORTION_ROWS)
            while True:
                with translate_errors():
                    try:
                        portion = await anext(portions)
                    except StopAsyncIteration:
                        return
                yield portion
        finally:
            await rows.close()


# SQLite's message names the columns of a violated unique index, PostgreSQL's the index; both name a CHECK.
_CONFLICTS: tuple[tuple[str, type[Conflict]], ...] = (
    ("jobs.request_key", DuplicateRequest),
    ('"jobs_request_key"', DuplicateRequest),
    ("jobs.press_key", DuplicatePress),
    ('"jobs_press_key"', DuplicatePress),
    ("predictions.backend,", AlreadyClaimed),
    ('"predictions_backend_id"', AlreadyClaimed),
    ("ledger.key", DuplicateEntry),
    ('"ledger_key"', DuplicateEntry),
    ("ledger.job, ledger.account", DuplicateEntry),
    ('"ledger_hold_once"', DuplicateEntry),
    ('"ledger_close_once"', DuplicateEntry),
    ("accounts_balance_not_negative", Overdrawn),
    ("accounts_held_not_negative", Overdrawn),
    ("accounts_held_within_balance", Overdrawn),
)

_SQLITE_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED"}
# SQLSTATE classes and codes: serialization failure and deadlock, lock timeout, cancelled statement, insufficient
# resources, lost connection, server starting or stopping (postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRESQL_BUSY = ("40", "55P03", "57014", "53", "08", "57P")
_BUSY = "The database is busy or cannot be reached just now. Nothing was lost: please try again in a moment."


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise each driver error of the block as an error of `core.errors`, with the driver's error as cause."""
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError) as error:
        raise translate(error) from error


def translate(error: DBAPIError | PoolTimeout | OSError) -> EaselError:
    """Give a `Conflict` for a violated constraint, `Unavailable` for a retryable error, else `InternalError`."""
    if not isinstance(error, DBAPIError):
        return Unavailable(_BUSY)
    if isinstance(error, IntegrityError):
        return _translate_conflict(str(error.orig))
    return Unavailable(_BUSY) if _is_busy(error) else InternalError(f"The database failed: {error.orig}")


def _translate_conflict(text: str) -> EaselError:
    for mark, kind in _CONFLICTS:
        if mark in text:
            return kind(text)
    return InternalError(f"The database refused: {text}")


def _is_busy(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(_POSTGRESQL_BUSY)
    # Extended names begin with the plain name: SQLITE_BUSY_SNAPSHOT, for example.
    name = getattr(error.orig, "sqlite_errorname", "")
    return isinstance(error, OperationalError) and any(name.startswith(busy) for busy in _SQLITE_BUSY)
