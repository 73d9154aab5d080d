"""Accounts, ledger entries, holds and estimates, all in integer micro-dollars: 1 USD = 1,000,000 micros.

Credits are a display unit (`credits.pricing.CreditFormatter`): no amount is stored or computed in credits.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.people import Actor


class AccountKind(StrEnum):
    """A hold draws on wallets in order until the amount is met; each budget must cover the whole amount."""

    WALLET = "wallet"
    BUDGET = "budget"


class EntryKind(StrEnum):
    """The effect of a ledger row."""

    GRANT = "grant"
    ADJUST = "adjust"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    EXPIRE = "expire"
    RESET = "reset"
    """Forgive the spending of a window: the balance rises, `granted_micros` stays."""


class ResetPeriod(StrEnum):
    """The spending of a user that a reset forgives: of the current day, or of the current month with all its days."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Account:
    """The current state of a wallet or budget. `balance_micros` includes `held_micros`.

    `id` spells the other fields, such as `wallet:daily:web:ana:2026-11-20` or `budget:bot:2026-11`.
    `granted_micros` is the sum of all grants: the limit of a budget.
    """

    id: str
    kind: AccountKind
    scope: str
    """`daily`, `tier`, `granted`, `allowance`, `user`, `workspace`, `bot`; `failed`, `failed_user` of failed runs."""
    platform: str = ""
    workspace: str = ""
    user: str = ""
    window: str = ""
    """The UTC day or month of the account, `2026-11-20` or `2026-11`, or empty for ever."""
    expires_at: datetime | None = None
    balance_micros: int = 0
    held_micros: int = 0
    granted_micros: int = 0

    @property
    def available_micros(self) -> int:
        """Return the amount that a new hold can take, in micros."""
        return self.balance_micros - self.held_micros

    @property
    def spent_micros(self) -> int:
        """Return the settled spending, in micros. Held amounts do not count: a release may give them back."""
        return self.granted_micros - self.balance_micros


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. The database refuses a second row with the same `key`, so a repeated write is harmless."""

    account: str
    kind: EntryKind
    balance_delta_micros: int
    held_delta_micros: int
    key: str
    actor: Actor
    at: datetime
    job: str = ""
    prediction: str = ""
    """The lost run with the cost of this row, where a second run replaced a failed run; else empty."""
    reason: str = ""
    reset_period: ResetPeriod | None = None
    """Set on the row that a reset appends to the user's granted wallet: limits that are set later read this row."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that one account sets aside for one running job, in micros."""

    account: Account
    job: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a job before its run: usually about `expected_micros`, never above `max_micros`, the held amount."""

    expected_micros: int
    max_micros: int
