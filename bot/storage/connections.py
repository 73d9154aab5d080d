"""One transaction on a connection of a pool: begun, committed at the end, rolled back on any error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.storage.speaking import Speaking
from bot.storage.statements import our_errors


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Speaking]:
    """Raises `Unavailable` when none can be begun, or ended."""
    with our_errors():
        connection = await engine.connect()
    try:
        yield cast("Speaking", connection)  # its rows are buffered, as ours are
        with our_errors():
            await connection.commit()
    except BaseException:  # a cancelled task must not leave its transaction to the next
        with suppress(sa.exc.SQLAlchemyError, OSError):  # what ended it says more than how its rollback failed
            await connection.rollback()
        raise
    finally:
        await connection.close()
