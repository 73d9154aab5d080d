"""The accounts of a job: wallets, in the order that a hold draws on them, and budgets, which must all have room.

Failed runs, which the owner pays, are counted in accounts of their own.

Windows are days and months in UTC. Each window has accounts of its own, so no account needs a refill, and a clock that
jumps back finds the accounts of the earlier day unchanged.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.core.errors import LimitReached
from bot.core.money import Account, AccountKind, Entry, EntryKind, ResetPeriod
from bot.core.people import POLICY, User
from bot.core.time_format import format_weekday
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Transaction

WALLET_SCOPES: Final = ("daily", "tier", "granted")


def list_accounts(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
    """Return the accounts of one request with their limits in micros, wallets first in the order of drawing."""
    return [*_list_wallets(user, now, limits), *_list_budgets(user, now, limits)]


def _list_wallets(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
    day = f"{now:%Y-%m-%d}"
    # The daily wallet has no workspace: a person in many workspaces has one allowance per platform. The extra allowance
    # of a role can be spent in the role's workspace only, so that roles in many workspaces do not add up, and a role
    # that is lost and given back does not pay twice.
    daily = Account(
        _format_id(AccountKind.WALLET, "daily", user.platform, user.id, day),
        AccountKind.WALLET,
        "daily",
        user.platform,
        user=user.id,
        window=day,
        expires_at=get_next_day_start(now),
    )
    wallets = [(daily, limits.daily_allowance_micros)]
    extra_micros = limits.allowance_micros - limits.daily_allowance_micros
    if extra_micros > 0:
        tier_id = _format_id(AccountKind.WALLET, "tier", user.platform, user.workspace, user.id, day)
        wallets.append((replace(daily, id=tier_id, scope="tier", workspace=user.workspace), extra_micros))
    return [*wallets, (get_granted_wallet(user.platform, user.workspace, user.id), 0)]


def _list_budgets(user: User, now: datetime, limits: UserLimits) -> list[tuple[Account, int]]:
    budgets: list[tuple[Account, int]] = []
    # A role may give less than the daily allowance: this budget bounds the share of the daily wallet for the workspace.
    if limits.allowance_micros < limits.daily_allowance_micros:
        allowance = _build_personal_budget(user, "allowance", f"{now:%Y-%m-%d}", get_next_day_start(now))
        budgets.append((allowance, limits.allowance_micros))
    if limits.user_day_micros is not None:
        of_day = _build_personal_budget(user, "user", f"{now:%Y-%m-%d}", get_next_day_start(now))
        budgets.append((of_day, limits.user_day_micros))
    if limits.user_month_micros is not None:
        of_month = _build_personal_budget(user, "user", f"{now:%Y-%m}", get_next_month_start(now))
        budgets.append((of_month, limits.user_month_micros))
    if limits.workspace_month_micros is not None:
        budgets.append((get_workspace_budget(user.platform, user.workspace, now), limits.workspace_month_micros))
    return [*budgets, (get_bot_budget(now), limits.bot_month_micros)]


def _build_personal_budget(user: User, scope: str, window: str, end: datetime) -> Account:
    return Account(
        _format_id(AccountKind.BUDGET, scope, user.platform, user.workspace, user.id, window),
        AccountKind.BUDGET,
        scope,
        user.platform,
        user.workspace,
        user.id,
        window=window,
        expires_at=end,
    )


def get_granted_wallet(platform: str, workspace: str, user: str) -> Account:
    """Return the wallet of a moderator's grants, for use in one workspace only."""
    account_id = _format_id(AccountKind.WALLET, "granted", platform, workspace, user)
    return Account(account_id, AccountKind.WALLET, "granted", platform, workspace, user)


def get_workspace_budget(platform: str, workspace: str, now: datetime) -> Account:
    """Return the budget of a workspace for the month."""
    window, end = f"{now:%Y-%m}", get_next_month_start(now)
    account_id = _format_id(AccountKind.BUDGET, "workspace", platform, workspace, window)
    return Account(account_id, AccountKind.BUDGET, "workspace", platform, workspace, window=window, expires_at=end)


def get_bot_budget(now: datetime) -> Account:
    """Return the budget of the whole bot for the month."""
    window = f"{now:%Y-%m}"
    account_id = _format_id(AccountKind.BUDGET, "bot", window)
    return Account(account_id, AccountKind.BUDGET, "bot", window=window, expires_at=get_next_month_start(now))


def get_failed_runs_account(platform: str, workspace: str, now: datetime) -> Account:
    """Return the count of the owner's cost of a workspace's failed runs in the month. Its rows name the users."""
    window = f"{now:%Y-%m}"
    account_id = _format_id(AccountKind.BUDGET, "failed", platform, workspace, window)
    end = get_next_month_start(now)
    return Account(account_id, AccountKind.BUDGET, "failed", platform, workspace, window=window, expires_at=end)


def get_user_failed_runs_account(user: User, now: datetime) -> Account:
    """Return the count of the owner's cost of a user's failed runs on one day."""
    # Without the workspace, as the daily wallet: a user of many workspaces must not fail at the owner's cost in each.
    day = f"{now:%Y-%m-%d}"
    account_id = _format_id(AccountKind.BUDGET, "failed_user", user.platform, user.id, day)
    end = get_next_day_start(now)
    return Account(
        account_id, AccountKind.BUDGET, "failed_user", user.platform, user=user.id, window=day, expires_at=end
    )


def _format_id(kind: AccountKind, scope: str, *fields: str) -> str:
    """Return the id of an account. No code reads the fields back: the account has each field by itself."""
    return ":".join((kind.value, scope, *fields))


def compute_limit_change_micros(account: Account, limit_micros: int) -> int:
    """Return the change of `granted_micros` to a new limit, which never goes below the held and spent amounts."""
    return max(limit_micros - account.granted_micros, -account.available_micros)


def list_wallet_ids(user: User, now: datetime) -> list[str]:
    """Return the ids of all wallets that a user may have spent from in the workspace this month so far."""
    days = [f"{now:%Y-%m}-{day:02}" for day in range(1, now.day + 1)]
    daily = [_format_id(AccountKind.WALLET, "daily", user.platform, user.id, day) for day in days]
    tier = [_format_id(AccountKind.WALLET, "tier", user.platform, user.workspace, user.id, day) for day in days]
    return [*daily, *tier, get_granted_wallet(user.platform, user.workspace, user.id).id]


def list_window_accounts(user: User, now: datetime) -> list[Account]:
    """Return all accounts of today or this month that a user's spending can touch. Not all of them need exist."""
    # No single set of limits has all accounts: a role that gives less has an allowance budget, a role that gives more
    # has a tier wallet.
    less = list_accounts(user, now, UserLimits(1, 0, user_day_micros=0, user_month_micros=0, tier_allowance_micros=0))
    more = list_accounts(user, now, UserLimits(0, 0, tier_allowance_micros=1))
    by_id = {account.id: account for account, _ in [*less, *more]}
    failed = get_user_failed_runs_account(user, now)
    return [failed] + [account for account in by_id.values() if account.scope in ("daily", "tier", "allowance", "user")]


def is_day(window: str) -> bool:
    """Return whether a window is a day, `2026-11-20`, and not a month, `2026-11`."""
    return len(window) == len("2026-11-20")


def parse_window_start(window: str) -> datetime:
    """Return the start of a day or month in UTC."""
    return datetime.fromisoformat(window if is_day(window) else f"{window}-01").replace(tzinfo=UTC)


def get_next_day_start(now: datetime) -> datetime:
    """Return the next midnight in UTC: the refill of daily allowances."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def get_next_month_start(now: datetime) -> datetime:
    """Return midnight in UTC on the first of the next month: the refill of budgets."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


async def read_prior_usage(tx: Transaction, account: Account, user: User) -> int:
    """Return the spent and held micros of a window before its account was opened, less the spending a reset forgave.

    A limit that is set in the middle of a day or month counts this amount.
    """
    if account.scope not in ("user", "workspace", "allowance"):
        return 0
    since = parse_window_start(account.window)
    if account.scope == "workspace":
        return await read_workspace_usage(tx, user.platform, user.workspace, since)
    scopes = ("daily",) if account.scope == "allowance" else WALLET_SCOPES
    since = await _find_last_reset(tx, account, user, since)
    return await tx.ledger.sum_used_by_user(user.actor, since, scopes)


async def read_workspace_usage(tx: Transaction, platform: str, workspace: str, at: datetime) -> int:
    """Return the spent and held micros of a workspace in the month of `at`, with the owner's cost of failed runs."""
    failed = await tx.ledger.get_account(get_failed_runs_account(platform, workspace, at).id)
    month_start = parse_window_start(f"{at:%Y-%m}")
    spent_micros = await tx.jobs.sum_spent_in_workspace(platform, workspace, month_start)
    held_micros = await tx.ledger.sum_held_in_workspace(platform, workspace, month_start)
    return spent_micros + held_micros + (failed.spent_micros if failed else 0)


async def _find_last_reset(tx: Transaction, account: Account, user: User, since: datetime) -> datetime:
    """Return the time of the last reset that applies to the account's window; `since` without a reset."""
    # A reset of the day leaves the month's limits as they are; a reset of the month forgives its days as well.
    periods = (ResetPeriod.DAY, ResetPeriod.MONTH) if is_day(account.window) else (ResetPeriod.MONTH,)
    wallet = get_granted_wallet(user.platform, user.workspace, user.id)
    return await tx.ledger.find_last_reset(wallet.id, periods, since) or since


def list_failed_runs_accounts(user: User, now: datetime) -> list[Account]:
    """Return the accounts that count a user's failed runs: of the workspace's month, and of the user's day.

    A failed run is free for the user, and the owner pays the backend. The month's account is for `/quota top`, the
    day's account for the bound; both only grow in spending.
    """
    return [get_failed_runs_account(user.platform, user.workspace, now), get_user_failed_runs_account(user, now)]


async def record_failed_run(
    tx: Transaction, user: User, job: str, cost_micros: int, now: datetime, *, prediction: str = ""
) -> None:
    """Count the owner's cost of a failed run. `prediction` is a run whose job goes on with a second run, else empty."""
    if cost_micros <= 0:
        return
    for account in list_failed_runs_accounts(user, now):
        first = Entry(account.id, EntryKind.GRANT, 0, 0, f"open:{account.id}", POLICY, now)
        await tx.ledger.open_account(account, first)
        key, reason = f"failed_run:{prediction or job}:{account.id}", "failed run"
        # The raise pays for the count: the account is a counter, and refuses nothing by itself.
        count = Entry(account.id, EntryKind.EXPIRE, -cost_micros, 0, key, user.actor, now, job, prediction, reason)
        room = replace(count, kind=EntryKind.ADJUST, balance_delta_micros=cost_micros, key=f"beyond:{key}")
        await tx.ledger.append([room, count])


def check_failed_runs(account: Account | None, limits: UserLimits, formatter: CreditFormatter, now: datetime) -> None:
    """Raise `LimitReached` if the user's failed runs of today, counted in `account`, cost the owner the daily bound."""
    if account is None or limits.failed_runs_day_micros is None:
        return
    if account.spent_micros < max(limits.failed_runs_day_micros, 1):
        return
    cost, end = formatter.format(account.spent_micros), format_weekday(get_next_day_start(now), limits.time_zone)
    fact = f"Your failed runs cost {cost} credits today: wait until {end}"
    raise LimitReached(f"{fact}, or ask a moderator.", moderator_text=f"{fact}, or forgive them with /quota reset.")
