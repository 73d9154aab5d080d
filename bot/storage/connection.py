"""Defines the connection interface of both engines, and runs statements with translated errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

from bot.storage.errors import translate_errors

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
T = TypeVar("T")


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


class Connection(Protocol):
    """A connection inside one transaction. Methods raise the driver's own errors."""

    @property
    def dialect(self) -> sa.Dialect: ...

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Run one statement, once for each set of parameters."""
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
