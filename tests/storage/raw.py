"""Statements by hand, as somebody with a database shell would send them."""

from typing import Any, cast

import sqlalchemy as sa

from bot.storage.engine import SqlDatabase
from bot.storage.jobs import SqlJobStore


async def execute(database: SqlDatabase, *statements: str) -> list[Any]:
    """Run the statements in one write of `database` (errors as ours) and give the rows of the last."""
    rows: list[Any] = []
    async with database.write() as tx:
        for statement in statements:
            result = await cast(SqlJobStore, tx.jobs)._run(sa.text(statement))
            rows = list(result) if statement.startswith(("SELECT", "EXPLAIN")) else []
    return rows
