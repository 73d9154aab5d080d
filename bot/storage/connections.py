"""One transaction on a connection of a pool: begun, committed at the end, rolled back on any error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.storage.statements import our_errors


@asynccontextmanager
async def transaction(engine: AsyncEngine, begin: str = "") -> AsyncIterator[AsyncConnection]:
    """`begin` is sent where the driver does not begin by itself. Raises `Unavailable` when none can be begun."""
    with our_errors():
        connection = await engine.connect()
    try:
        with our_errors():
            if begin:
                await connection.exec_driver_sql(begin)
        yield connection
        with our_errors():
            await connection.commit()
    except BaseException:  # a cancelled task must not leave its transaction to the next
        with our_errors():
            await connection.rollback()
        raise
    finally:
        await connection.close()
