"""What somebody has and what it went on."""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.money import Account
from bot.core.people import User
from bot.credits.accounts import accounts_of, granted_wallet, start_of_next_day, start_of_next_month, wallet_ids
from bot.credits.limits import Limits
from bot.credits.windows import used_before
from bot.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person has and what it went on. Amounts in micros."""

    limits: Limits
    today_left: int
    today_allowance: int
    extra_left: int
    refills_at: datetime
    month_refills_at: datetime
    budgets: tuple[Account, ...]
    """The budgets they are bound by, tightest window first, as they stand: the bot's own is not for them to see."""
    month: tuple[tuple[str, int, int], ...]
    """(model, jobs, micros) of this month, dearest first."""

    @property
    def most(self) -> int:
        """What one job may cost at most now, in micros, the bot's own budget aside."""
        return min([self.today_left + self.extra_left, *(budget.available for budget in self.budgets)])

    @property
    def spent_this_month(self) -> int:
        """In micros."""
        return sum(micros for _, _, micros in self.month)


async def statement_of(tx: Transaction, user: User, limits: Limits, now: datetime) -> Statement:
    """The statement of a user where they ask. Accounts that nothing was asked of yet stand as they will begin."""
    wanted = accounts_of(user, now, limits)
    kept = {account.id: await tx.ledger.get_account(account.id) for account, _ in wanted}
    used = {id_: await used_before(tx, account, user) for account, _ in wanted if kept[id_ := account.id] is None}
    stand = {a.id: _as_it_stands(a, limit, kept[a.id], used.get(a.id, 0)) for a, limit in wanted}
    accounts = list(stand.values())
    today = sum(account.available for account in accounts if account.scope in ("daily", "tier"))
    small = [account.available for account in accounts if account.scope == "allowance"]
    return Statement(
        limits=limits,
        today_left=min([today, *small]),
        today_allowance=limits.allowance,
        extra_left=stand[granted_wallet(user.platform, user.workspace, user.id).id].available,
        refills_at=start_of_next_day(now),
        month_refills_at=start_of_next_month(now),
        budgets=tuple(account for account in accounts if account.scope in ("user", "workspace")),
        month=tuple(await tx.ledger.sum_spent_by_model(wallet_ids(user, now))),
    )


def _as_it_stands(account: Account, limit: int, kept: Account | None, used: int) -> Account:
    """The account with what its limit will have made of it at the next ask (`Ledger.opened`)."""
    if kept is None:
        granted = max(limit, used)
        return replace(account, granted=granted, balance=granted - used)
    if account.scope == "granted":
        return kept
    delta = max(limit - kept.granted, -kept.available)
    return replace(kept, granted=kept.granted + delta, balance=kept.balance + delta)
