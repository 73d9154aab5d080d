"""What a store needs of a connection, whichever engine it speaks to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

from bot.storage.errors import translate_errors

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
T = TypeVar("T")


class Rows(Protocol):
    """What a statement gave. Rows are in memory: looking at them asks the database nothing."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement touched."""
        ...

    def __iter__(self) -> Iterator[sa.Row[*tuple[Any, ...]]]: ...

    def first(self) -> sa.Row[*tuple[Any, ...]] | None: ...

    def scalar_one(self) -> Any: ...

    def scalar_one_or_none(self) -> Any: ...


class Connection(Protocol):
    """A connection inside one transaction. Raises the driver's errors; see `errors.translate_errors`."""

    @property
    def dialect(self) -> sa.Dialect: ...

    async def execute(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Run one statement, or the same for each of several parameter sets."""
        ...

    async def exec_driver_sql(self, statement: str) -> Rows:
        """Run one statement exactly as written."""
        ...

    async def run_sync(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> T:
        """Give the plain connection to something synchronous, such as Alembic."""
        ...


class Statements:
    """One connection, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, statement: sa.Executable, parameters: Parameters | None = None) -> Rows:
        """Execute one statement. Raises a `Conflict`, `Unavailable` or `Fault`."""
        with translate_errors():
            return await self._connection.execute(statement, parameters)
