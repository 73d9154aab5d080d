"""Verify the ledger against accounts, jobs and predictions, for `quota verify`."""

from dataclasses import dataclass

from bot.storage.database import Database
from bot.storage.ledger_checks import LedgerMismatch

MAX_DISCREPANCIES = 50
"""Of each kind: more mismatches of one kind usually have one cause."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The sizes of the compared tables, and one line for each discrepancy."""

    compared: str
    discrepancies: tuple[str, ...]


async def verify_ledger(database: Database) -> VerificationReport:
    """Compare ledger, accounts, jobs and predictions in one read transaction, without changes."""
    async with database.read() as tx:
        sizes = await tx.ledger_checks.count_rows()
        mismatches = await tx.ledger_checks.find_mismatches(MAX_DISCREPANCIES)
    compared = ", ".join(f"{count:,} rows of {table}" for table, count in sizes.items())
    return VerificationReport(compared, tuple(_format_discrepancy(row) for row in mismatches))


def _format_discrepancy(row: LedgerMismatch) -> str:
    return f"{row.check} {row.row}: {row.found:,}, and should be {row.expected:,}"
