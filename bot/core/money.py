"""Money: integer micro-dollars in accounts, moved by rows that are never changed.

1 USD = 1,000,000 micros. A credit is only how an amount is shown (`credits.pricing`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AccountKind(StrEnum):
    """Wallets are drawn in order until the amount is met; budgets must all have room for the whole amount."""

    WALLET = "wallet"
    BUDGET = "budget"


class EntryKind(StrEnum):
    """What a row of the ledger does."""

    GRANT = "grant"
    ADJUST = "adjust"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    EXPIRE = "expire"
    RESET = "reset"
    """What was spent in a window is forgiven: it counts as not spent, and what was ever put in stays as it was."""


class ResetPeriod(StrEnum):
    """The spending of a user that a reset forgives: of the current day, or of the current month with all its days."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Account:
    """A wallet or a budget as it stands. Amounts in micros; `balance` includes what is held.

    `id` spells what it is for, e.g. `wallet:daily:web:ana:2026-11-20` or `budget:bot:2026-11`.
    `granted` is all that was ever put in: the limit of a budget.
    """

    id: str
    kind: AccountKind
    scope: str
    """`daily`, `tier`, `granted`, `allowance`, `user`, `workspace` or `bot`."""
    platform: str = ""
    workspace: str = ""
    user: str = ""
    window: str = ""
    """The day or month it is for, `2026-11-20` or `2026-11`, or empty for ever."""
    expires_at: datetime | None = None
    balance_micros: int = 0
    held_micros: int = 0
    granted_micros: int = 0

    @property
    def available_micros(self) -> int:
        """What can still be held, in micros."""
        return self.balance_micros - self.held_micros

    @property
    def spent_micros(self) -> int:
        """What is gone for good, in micros; what is held may still come back."""
        return self.granted_micros - self.balance_micros


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. Deltas in micros; the unique `key` refuses a second row of the same meaning."""

    account: str
    kind: EntryKind
    balance_delta_micros: int
    held_delta_micros: int
    key: str
    actor: str
    at: datetime
    job: str = ""
    prediction: str = ""
    """The lost run whose cost this row counts, where a second run replaced a failed one; else empty."""
    reason: str = ""
    reset_period: ResetPeriod | None = None
    """Set on the one row of a reset that later limits read: the row on the user's granted wallet."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside on one account for one running job, in micros."""

    account: Account
    job: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will cost, in micros: usually about `about`, never more than `at_most` (which is what is held)."""

    expected_micros: int
    max_micros: int
