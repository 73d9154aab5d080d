"""What somebody has and what it went on."""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.money import Account
from bot.core.people import User
from bot.credits.accounts import (
    get_granted_wallet,
    get_next_day_start,
    get_next_month_start,
    list_accounts,
    list_wallet_ids,
)
from bot.credits.limits import UserLimits
from bot.credits.windows import read_prior_usage
from bot.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person has and what it went on. Amounts in micros."""

    limits: UserLimits
    today_available_micros: int
    daily_allowance_micros: int
    extra_available_micros: int
    refills_at: datetime
    month_refills_at: datetime
    budgets: tuple[Account, ...]
    """The budgets they are bound by, tightest window first, as they stand: the bot's own is not for them to see."""
    usage_by_model: tuple[tuple[str, int, int], ...]
    """(model, jobs, micros) of this month, dearest first."""

    @property
    def max_job_micros(self) -> int:
        """What one job may cost at most now, in micros, the bot's own budget aside."""
        return min(
            [
                self.today_available_micros + self.extra_available_micros,
                *(budget.available_micros for budget in self.budgets),
            ]
        )

    @property
    def spent_this_month_micros(self) -> int:
        """In micros."""
        return sum(micros for _, _, micros in self.usage_by_model)


async def build_statement(tx: Transaction, user: User, limits: UserLimits, now: datetime) -> Statement:
    """The statement of a user where they ask. Accounts that nothing was asked of yet stand as they will begin."""
    wanted = list_accounts(user, now, limits)
    kept = {account.id: await tx.ledger.get_account(account.id) for account, _ in wanted}
    used = {id_: await read_prior_usage(tx, account, user) for account, _ in wanted if kept[id_ := account.id] is None}
    stand = {a.id: _apply_limit(a, limit, kept[a.id], used.get(a.id, 0)) for a, limit in wanted}
    accounts = list(stand.values())
    today = sum(account.available_micros for account in accounts if account.scope in ("daily", "tier"))
    small = [account.available_micros for account in accounts if account.scope == "allowance"]
    return Statement(
        limits=limits,
        today_available_micros=min([today, *small]),
        daily_allowance_micros=limits.allowance_micros,
        extra_available_micros=stand[get_granted_wallet(user.platform, user.workspace, user.id).id].available_micros,
        refills_at=get_next_day_start(now),
        month_refills_at=get_next_month_start(now),
        budgets=tuple(account for account in accounts if account.scope in ("user", "workspace")),
        usage_by_model=tuple(await tx.ledger.sum_spent_by_model(list_wallet_ids(user, now))),
    )


def _apply_limit(account: Account, limit: int, kept: Account | None, used: int) -> Account:
    """The account with what its limit will have made of it at the next ask (`Ledger.opened`)."""
    if kept is None:
        granted = max(limit, used)
        return replace(account, granted_micros=granted, balance_micros=granted - used)
    if account.scope == "granted":
        return kept
    delta = max(limit - kept.granted_micros, -kept.available_micros)
    return replace(kept, granted_micros=kept.granted_micros + delta, balance_micros=kept.balance_micros + delta)
