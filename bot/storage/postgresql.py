"""PostgreSQL: a pool of connections, shared with any number of processes."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.storage.connection import Connection
from bot.storage.errors import translate_errors

_READERS = 5


class PostgresqlEngine:
    """The connections to one database."""

    writers = 10

    def __init__(self, url: str, *, seconds_to_wait: float) -> None:
        self._engine = create_async_engine(
            sa.make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=self.writers + _READERS,
            max_overflow=0,
            connect_args={
                "timeout": seconds_to_wait,
                "prepared_statement_cache_size": 500,
                "server_settings": {
                    "application_name": "easel",
                    "lock_timeout": str(int(seconds_to_wait * 1000)),
                    "jit": "off",  # our statements are short: compiling them costs more than running them
                },
            },
        )
        # One snapshot for the whole reading, and no writing by mistake.
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def write(self) -> AbstractAsyncContextManager[Connection]:
        return transaction(self._engine)

    def read(self) -> AbstractAsyncContextManager[Connection]:
        return transaction(self._reading)

    async def close(self) -> None:
        await self._engine.dispose()


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Connection]:
    """Raises `Unavailable` when none can be begun, or ended."""
    with translate_errors():
        connection = await engine.connect()
    try:
        yield cast("Connection", connection)  # its rows are buffered, as ours are
        with translate_errors():
            await connection.commit()
    except BaseException:  # a cancelled task must not leave its transaction to the next
        with suppress(sa.exc.SQLAlchemyError, OSError):  # what ended it says more than how its rollback failed
            await connection.rollback()
        raise
    finally:
        await connection.close()
