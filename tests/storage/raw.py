"""Runs SQL text, as an operator with a database shell would."""

from typing import Any

import sqlalchemy as sa

from bot.core.people import PersonKey
from bot.storage.database import Database, Transaction
from tests.storage.rows import ANA


async def execute(database: Database, *statements: str) -> list[Any]:
    """Run statements in one write transaction. Returns the rows of the last statement; errors are translated."""
    rows: list[Any] = []
    async with database.write() as tx:
        for statement in statements:
            result = await tx.jobs._run(sa.text(statement))
            rows = list(result) if statement.startswith(("SELECT", "EXPLAIN")) else []
    return rows


async def count_open_jobs(tx: Transaction) -> int:
    """Count the open jobs in the workspace of `make_job`."""
    return len(await tx.jobs.list_open_in_workspace(ANA.platform, ANA.workspace, 1_000))


async def list_jobs_with_open_holds(database: Database) -> list[str]:
    """List the jobs with an unclosed hold."""
    closing = "close.job = hold.job AND close.account = hold.account AND close.kind IN ('settle', 'release')"
    rows = await execute(
        database,
        "SELECT DISTINCT hold.job FROM ledger AS hold WHERE hold.kind = 'hold'"  # noqa: S608 - constant text
        f" AND NOT EXISTS (SELECT 1 FROM ledger AS close WHERE {closing}) ORDER BY hold.job",
    )
    return [row.job for row in rows]


async def export_person(tx: Transaction, person: PersonKey) -> dict[str, list[Any]]:
    """Read all rows of a person as JSON, by subject."""
    found: dict[str, list[Any]] = {}
    async for name, rows in tx.erasure.stream_person(person):
        found.setdefault(name, []).extend(rows)
    return found
