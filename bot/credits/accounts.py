"""Which accounts a job involves: the wallets it draws on, in order, and the budgets that must all have room.

Windows are days and months of UTC. A window has an account of its own, so that nothing needs to be refilled, and a
clock that jumps back finds the accounts of that day as they were left.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.core.money import Account, AccountKind
from bot.core.people import User
from bot.credits.limits import UserLimits


def list_accounts(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
    """The accounts of one ask, wallets first in the order they are drawn, each with what it is to be granted."""
    return [*_wallets(user, now, limits), *_budgets(user, now, limits)]


def _wallets(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
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
        expires_at=get_next_day_start(now),
    )
    beyond = limits.allowance_micros - limits.daily_allowance_micros
    name = f"wallet:tier:{user.platform}:{user.workspace}:{user.id}:{day}"
    tier = replace(daily, id=name, scope="tier", workspace=user.workspace)
    granted = get_granted_wallet(user.platform, user.workspace, user.id)
    return [(daily, limits.daily_allowance_micros), *([(tier, beyond)] if beyond > 0 else []), (granted, 0)]


def _budgets(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
    day, month = f"{now:%Y-%m-%d}", f"{now:%Y-%m}"
    where = f"{user.platform}:{user.workspace}"
    personal = Account("", AccountKind.BUDGET, "user", user.platform, user.workspace, user.id)
    today = replace(personal, window=day, expires_at=get_next_day_start(now))
    this_month = replace(personal, window=month, expires_at=get_next_month_start(now))
    shared = get_workspace_budget(user.platform, user.workspace, now)
    # A role that gives less than everybody gets: how much of the daily wallet may be drawn here.
    less = limits.allowance_micros if limits.allowance_micros < limits.daily_allowance_micros else None
    budgets: list[tuple[Account, int | None]] = [
        (replace(today, id=f"budget:allowance:{where}:{user.id}:{day}", scope="allowance"), less),
        (replace(today, id=f"budget:user:{where}:{user.id}:{day}"), limits.user_day_micros),
        (replace(this_month, id=f"budget:user:{where}:{user.id}:{month}"), limits.user_month_micros),
        (shared, limits.workspace_month_micros),
        (get_bot_budget(now), limits.bot_month_micros),
    ]
    return [(account, limit) for account, limit in budgets if limit is not None]


def get_granted_wallet(platform: str, workspace: str, user: str) -> Account:
    """What a moderator granted somebody: spent in that workspace only."""
    account_id = f"wallet:granted:{platform}:{workspace}:{user}"
    return Account(account_id, AccountKind.WALLET, "granted", platform, workspace, user)


def get_workspace_budget(platform: str, workspace: str, now: datetime) -> Account:
    """The budget of a workspace for the month."""
    account_id = f"budget:workspace:{platform}:{workspace}:{now:%Y-%m}"
    window, end = f"{now:%Y-%m}", get_next_month_start(now)
    return Account(account_id, AccountKind.BUDGET, "workspace", platform, workspace, window=window, expires_at=end)


def get_bot_budget(now: datetime) -> Account:
    """The budget of the whole bot for the month."""
    return Account(
        f"budget:bot:{now:%Y-%m}",
        AccountKind.BUDGET,
        "bot",
        window=f"{now:%Y-%m}",
        expires_at=get_next_month_start(now),
    )


def list_wallet_ids(user: User, now: datetime) -> list[str]:
    """Every wallet that a person may have spent from in their workspace this month so far."""
    days = [f"{now:%Y-%m}-{day:02}" for day in range(1, now.day + 1)]
    daily = [f"wallet:daily:{user.platform}:{user.id}:{day}" for day in days]
    tier = [f"wallet:tier:{user.platform}:{user.workspace}:{user.id}:{day}" for day in days]
    return [*daily, *tier, get_granted_wallet(user.platform, user.workspace, user.id).id]


def list_window_accounts(user: User, now: datetime) -> list[Account]:
    """Whatever account of today or this month a person may have spent from, or against: not all need exist."""
    less = list_accounts(user, now, UserLimits(1, 0, user_day_micros=0, user_month_micros=0, tier_allowance_micros=0))
    more = list_accounts(user, now, UserLimits(0, 0, tier_allowance_micros=1))
    named = {account.id: account for account, _ in [*less, *more]}
    return [account for account in named.values() if account.scope in ("daily", "tier", "allowance", "user")]


def parse_window_start(window: str) -> datetime:
    """When a window began: `2026-11-20` or `2026-11`, in UTC."""
    return datetime.fromisoformat(f"{window}-01" if len(window) == 7 else window).replace(tzinfo=UTC)


def get_next_day_start(now: datetime) -> datetime:
    """Midnight UTC after `now`: when daily allowances refill."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def get_next_month_start(now: datetime) -> datetime:
    """Midnight UTC on the first of the next month: when budgets refill."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
