"""PostgreSQL: a pool of connections, shared with as many processes as you like."""

from contextlib import AbstractAsyncContextManager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from bot.storage.connections import transaction
from bot.storage.speaking import Speaking

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

    def write(self) -> AbstractAsyncContextManager[Speaking]:
        return transaction(self._engine)

    def read(self) -> AbstractAsyncContextManager[Speaking]:
        return transaction(self._reading)

    async def close(self) -> None:
        await self._engine.dispose()
