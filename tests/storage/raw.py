"""Statements by hand, as somebody with a database shell would send them."""

from typing import Any

import sqlalchemy as sa

from bot.storage.database import Database, Transaction
from tests.storage.rows import ANA


async def execute(database: Database, *statements: str) -> list[Any]:
    """Run the statements in one write of `database` (errors as ours) and give the rows of the last."""
    rows: list[Any] = []
    async with database.write() as tx:
        for statement in statements:
            result = await tx.jobs._run(sa.text(statement))
            rows = list(result) if statement.startswith(("SELECT", "EXPLAIN")) else []
    return rows


async def open_jobs(tx: Transaction) -> int:
    """Count the open jobs of the workspace that `a_job` is asked in."""
    return len(await tx.jobs.list_open_in_workspace(ANA.platform, ANA.workspace, 1_000))


async def jobs_with_open_holds(database: Database) -> list[str]:
    """List the jobs with a hold that no row closes."""
    closing = "close.job = hold.job AND close.account = hold.account AND close.kind IN ('settle', 'release')"
    rows = await execute(
        database,
        "SELECT DISTINCT hold.job FROM ledger AS hold WHERE hold.kind = 'hold'"  # noqa: S608 - no input of anyone
        f" AND NOT EXISTS (SELECT 1 FROM ledger AS close WHERE {closing}) ORDER BY hold.job",
    )
    return [row.job for row in rows]
