"""`quota verify`: the books against one another, in sentences."""

from dataclasses import dataclass

from bot.storage.database import Database
from bot.storage.ledger_checks import LedgerMismatch

MAX_DISCREPANCIES = 50
"""Of each kind: whoever has more has one cause, not many."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was compared, and what disagrees, a line each."""

    compared: str
    discrepancies: tuple[str, ...]


async def verify_ledger(database: Database) -> VerificationReport:
    """Compare ledger, accounts, jobs and predictions, all as they were at one moment; changes nothing."""
    async with database.read() as tx:
        sizes = await tx.ledger_checks.count_rows()
        found = await tx.ledger_checks.find_mismatches(MAX_DISCREPANCIES)
    compared = ", ".join(f"{count:,} rows of {table}" for table, count in sizes.items())
    return VerificationReport(compared, tuple(_format_discrepancy(row) for row in found))


def _format_discrepancy(row: LedgerMismatch) -> str:
    return f"{row.what} {row.row}: {row.says:,}, and should be {row.should_say:,}"
