"""What `doctor` finds: one check, one finding."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.settings import Settings


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One check: `ok`, `warn` or `fail`, what was seen, and what to do."""

    status: str
    text: str
    fix: str = ""


DoctorCheck = Callable[[Settings], Awaitable[DoctorFinding | None]]
"""None where there is nothing to look at."""
