"""Which accounts a job involves: the wallets it draws on, in order, and the budgets that must all have room.

Windows are days and months of UTC. A window has an account of its own, so that nothing needs to be refilled, and a
clock that jumps back finds the accounts of that day as they were left.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.core.money import Account, AccountKind
from bot.core.people import User
from bot.credits.limits import Limits


def accounts_of(user: User, now: datetime, limits: Limits) -> list[tuple[Account, int]]:
    """The accounts of one ask, wallets first in the order they are drawn, each with what it is to be granted."""
    return [*_wallets(user, now, limits), *_budgets(user, now, limits)]


def _wallets(user: User, now: datetime, limits: Limits) -> list[tuple[Account, int]]:
    # The allowance is once per (platform, user): a person in many workspaces has one. What a role of a workspace gives
    # beyond it is spent there only, so that nobody gains by having roles in many, or by losing one and getting it back.
    day = f"{now:%Y-%m-%d}"
    daily = Account(
        f"wallet:daily:{user.platform}:{user.id}:{day}",
        AccountKind.WALLET,
        "daily",
        user.platform,
        user=user.id,
        window=day,
        expires_at=start_of_next_day(now),
    )
    beyond = limits.allowance - limits.daily_allowance
    name = f"wallet:tier:{user.platform}:{user.workspace}:{user.id}:{day}"
    tier = replace(daily, id=name, scope="tier", workspace=user.workspace)
    granted = granted_wallet(user.platform, user.workspace, user.id)
    return [(daily, limits.daily_allowance), *([(tier, beyond)] if beyond > 0 else []), (granted, 0)]


def _budgets(user: User, now: datetime, limits: Limits) -> list[tuple[Account, int]]:
    day, month = f"{now:%Y-%m-%d}", f"{now:%Y-%m}"
    where = f"{user.platform}:{user.workspace}"
    personal = Account("", AccountKind.BUDGET, "user", user.platform, user.workspace, user.id)
    today = replace(personal, window=day, expires_at=start_of_next_day(now))
    this_month = replace(personal, window=month, expires_at=start_of_next_month(now))
    shared = workspace_budget(user.platform, user.workspace, now)
    # A role that gives less than everybody gets: how much of the daily wallet may be drawn here.
    less = limits.allowance if limits.allowance < limits.daily_allowance else None
    budgets: list[tuple[Account, int | None]] = [
        (replace(today, id=f"budget:allowance:{where}:{user.id}:{day}", scope="allowance"), less),
        (replace(today, id=f"budget:user:{where}:{user.id}:{day}"), limits.user_day),
        (replace(this_month, id=f"budget:user:{where}:{user.id}:{month}"), limits.user_month),
        (shared, limits.workspace_month),
        (bot_budget(now), limits.bot_month),
    ]
    return [(account, limit) for account, limit in budgets if limit is not None]


def granted_wallet(platform: str, workspace: str, user: str) -> Account:
    """What a moderator granted somebody: spent in that workspace only."""
    account_id = f"wallet:granted:{platform}:{workspace}:{user}"
    return Account(account_id, AccountKind.WALLET, "granted", platform, workspace, user)


def workspace_budget(platform: str, workspace: str, now: datetime) -> Account:
    """The budget of a workspace for the month."""
    account_id = f"budget:workspace:{platform}:{workspace}:{now:%Y-%m}"
    window, end = f"{now:%Y-%m}", start_of_next_month(now)
    return Account(account_id, AccountKind.BUDGET, "workspace", platform, workspace, window=window, expires_at=end)


def bot_budget(now: datetime) -> Account:
    """The budget of the whole bot for the month."""
    return Account(
        f"budget:bot:{now:%Y-%m}",
        AccountKind.BUDGET,
        "bot",
        window=f"{now:%Y-%m}",
        expires_at=start_of_next_month(now),
    )


def wallet_ids(user: User, now: datetime) -> list[str]:
    """Every wallet that a person may have spent from in their workspace this month so far."""
    days = [f"{now:%Y-%m}-{day:02}" for day in range(1, now.day + 1)]
    daily = [f"wallet:daily:{user.platform}:{user.id}:{day}" for day in days]
    tier = [f"wallet:tier:{user.platform}:{user.workspace}:{user.id}:{day}" for day in days]
    return [*daily, *tier, granted_wallet(user.platform, user.workspace, user.id).id]


def windows_of(user: User, now: datetime) -> list[Account]:
    """Whatever account of today or this month a person may have spent from, or against: not all need exist."""
    less = accounts_of(user, now, Limits(1, 0, user_day=0, user_month=0, tier_allowance=0))
    more = accounts_of(user, now, Limits(0, 0, tier_allowance=1))
    named = {account.id: account for account, _ in [*less, *more]}
    return [account for account in named.values() if account.scope in ("daily", "tier", "allowance", "user")]


def asker(user: User) -> str:
    """How the ledger names who asked, or who changed something."""
    return f"{user.platform}:{user.workspace}:{user.id}"


def start_of(window: str) -> datetime:
    """When a window began: `2026-11-20` or `2026-11`, in UTC."""
    return datetime.fromisoformat(f"{window}-01" if len(window) == 7 else window).replace(tzinfo=UTC)


def start_of_next_day(now: datetime) -> datetime:
    """Midnight UTC after `now`: when daily allowances refill."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def start_of_next_month(now: datetime) -> datetime:
    """Midnight UTC on the first of the next month: when budgets refill."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
