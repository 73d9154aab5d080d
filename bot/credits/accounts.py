"""Which accounts a job involves: the wallets it draws on, in order, and the budgets that must all have room."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.core.money import Account, AccountKind
from bot.core.people import User


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, in micros; None where nobody set a limit."""

    daily_allowance: int
    bot_month: int
    user_day: int | None = None
    user_month: int | None = None
    workspace_month: int | None = None


def accounts_of(user: User, now: datetime, limits: Limits) -> list[tuple[Account, int]]:
    """The accounts of one ask, wallets first in the order they are drawn, each with what its first grant is."""
    day, month = f"{now:%Y-%m-%d}", f"{now:%Y-%m}"
    next_day, next_month = start_of_next_day(now), start_of_next_month(now)
    who, where = f"{user.platform}:{user.id}", f"{user.platform}:{user.workspace}"
    personal = Account("", AccountKind.BUDGET, "user", user.platform, user.workspace, user.id)
    budgets: list[tuple[Account, int | None]] = [
        (
            replace(personal, id=f"budget:user:{where}:{user.id}:{day}", window=day, expires_at=next_day),
            limits.user_day,
        ),
        (
            replace(personal, id=f"budget:user:{where}:{user.id}:{month}", window=month, expires_at=next_month),
            limits.user_month,
        ),
        (
            replace(
                personal,
                id=f"budget:workspace:{where}:{month}",
                scope="workspace",
                user="",
                window=month,
                expires_at=next_month,
            ),
            limits.workspace_month,
        ),
        (Account(bot_budget_id(now), AccountKind.BUDGET, "bot", window=month, expires_at=next_month), limits.bot_month),
    ]
    # The allowance is once per (platform, user): a person in many workspaces has one.
    daily = Account(
        f"wallet:daily:{who}:{day}",
        AccountKind.WALLET,
        "daily",
        user.platform,
        user=user.id,
        window=day,
        expires_at=next_day,
    )
    wallets = [(daily, limits.daily_allowance), (granted_wallet(user.platform, user.workspace, user.id), 0)]
    return wallets + [(account, limit) for account, limit in budgets if limit is not None]


def granted_wallet(platform: str, workspace: str, user: str) -> Account:
    """What a moderator granted somebody: spent in that workspace only."""
    account_id = f"wallet:granted:{platform}:{workspace}:{user}"
    return Account(account_id, AccountKind.WALLET, "granted", platform, workspace, user)


def daily_wallet_ids(user: User, now: datetime) -> list[str]:
    """The daily wallets of this month so far, oldest first."""
    return [f"wallet:daily:{user.platform}:{user.id}:{now:%Y-%m}-{day:02}" for day in range(1, now.day + 1)]


def bot_budget_id(now: datetime) -> str:
    """The budget of the whole bot for the month."""
    return f"budget:bot:{now:%Y-%m}"


def start_of_next_day(now: datetime) -> datetime:
    """Midnight UTC after `now`: when daily allowances refill."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def start_of_next_month(now: datetime) -> datetime:
    """Midnight UTC on the first of the next month: when budgets refill."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
