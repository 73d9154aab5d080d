"""What moderators and the owner look at: everything that is set, who spends, and how budgets stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.json import JSON
from bot.core.money import Account, ResetPeriod
from bot.core.people import User
from bot.core.platform_syntax import format_channel, format_person_link, format_role
from bot.credits.accounts import (
    get_granted_wallet,
    get_next_day_start,
    get_next_month_start,
    get_workspace_budget,
    list_accounts,
    list_wallet_ids,
    parse_window_start,
)
from bot.credits.limits import NAME, UserLimits
from bot.credits.policies import Policies, PolicyTarget
from bot.storage.database import Transaction
from bot.storage.policies import Policy

Values = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Overview:
    """What is set in a workspace, by key; roles, channels and people by id, and what each of them is called."""

    platform: str
    workspace: Values
    roles: Mapping[str, Values]
    channels: Mapping[str, Values]
    people: Mapping[str, Values]
    names: Mapping[str, str] = field(default_factory=dict)

    def format_role(self, role: str) -> str:
        """A tier by its name and its role's, or by the role alone."""
        tier, name = self.roles.get(role, {}).get(NAME), format_role(self.platform, role)
        return f"{tier} ({name})" if tier else name

    def format_channel(self, channel: str) -> str:
        return format_channel(self.platform, channel)

    def format_person(self, person: str) -> str:
        """By name; by a link where nobody knows it."""
        return self.names.get(person) or format_person_link(self.platform, person) or person


@dataclass(frozen=True, slots=True)
class Spender:
    """What somebody spent this month, in micros, with how many jobs."""

    id: str
    name: str
    jobs: int
    spent_micros: int


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How a monthly budget stands, in micros; `limit` is None where there is none."""

    limit_micros: int | None
    spent_micros: int
    held_micros: int
    refills_at: datetime


async def build_overview(tx: Transaction, platform: str, workspace: str, policies: Iterable[Policy]) -> Overview:
    """Everything that is set in a workspace."""
    scopes: dict[str, dict[str, dict[str, JSON]]] = {}
    for policy in policies:
        scopes.setdefault(policy.scope, {}).setdefault(policy.scope_id, {})[policy.key] = policy.value
    people = scopes.get("user", {})
    return Overview(
        platform=platform,
        workspace=scopes.get("workspace", {}).get("", {}),
        roles=scopes.get("role", {}),
        channels=scopes.get("channel", {}),
        people=people,
        names=await tx.people.get_names(platform, workspace, list(people)),
    )


async def list_spenders(tx: Transaction, platform: str, workspace: str, now: datetime, limit: int) -> list[Spender]:
    """Who spent the most this month, dearest first."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = f"{platform}:{workspace}:"
    rows = await tx.ledger.sum_spent_by_user(first, month, limit)
    ids = [asker.removeprefix(first) for asker, _, _ in rows]
    names = await tx.people.get_names(platform, workspace, ids)
    return [Spender(who, names.get(who) or who, jobs, micros) for who, (_, jobs, micros) in zip(ids, rows, strict=True)]


def build_budget_status(
    limit_micros: int | None, account: Account | None, used_micros: int, now: datetime
) -> BudgetStatus:
    """A budget as it stands; `used` is what was spent and held where it has no account yet."""
    refills_at = get_next_month_start(now)
    if account is None:
        return BudgetStatus(limit_micros, used_micros, 0, refills_at)
    return BudgetStatus(limit_micros, account.spent_micros, account.held_micros, refills_at)


# MERGED What was spent in a day or month before a limit for it was set: a limit counts that, but for what was
# MERGED forgiven.


async def read_prior_usage(tx: Transaction, account: Account, user: User) -> int:
    """What an account that is not open yet would have counted so far in its window, in micros."""
    if account.scope not in ("user", "workspace", "allowance"):
        return 0
    since = parse_window_start(account.window)
    if account.scope == "workspace":
        return await tx.ledger.sum_used(f"{user.platform}:{user.workspace}:", since, "wallet:")
    wallets = "wallet:daily:" if account.scope == "allowance" else "wallet:"
    return await tx.ledger.sum_used(user.actor, max(since, await _last_reset_at(tx, account, user, since)), wallets)


async def _last_reset_at(tx: Transaction, account: Account, user: User, since: datetime) -> datetime:
    """When what counts for this window was forgiven last; `since` where it never was."""
    is_day = len(account.window) == len("2026-11-20")
    # A reset of the day leaves the month's limits as they are; a reset of the month forgives its days as well.
    periods = (ResetPeriod.DAY, ResetPeriod.MONTH) if is_day else (ResetPeriod.MONTH,)
    rows = await tx.ledger.list_entries([get_granted_wallet(user.platform, user.workspace, user.id).id])
    return max((row.at for row in rows if row.reset_period in periods), default=since)


async def read_workspace_budget_status(
    tx: Transaction, policies: Policies, platform: str, workspace: str, now: datetime
) -> BudgetStatus:
    """How the budget of a workspace stands this month, or what it spent where it has none."""
    limit = await policies.get_monthly_budget_micros(tx, PolicyTarget(platform, workspace, "workspace"))
    account = (
        await tx.ledger.get_account(get_workspace_budget(platform, workspace, now).id) if limit is not None else None
    )
    used = (
        0
        if account
        else await tx.ledger.sum_used(f"{platform}:{workspace}:", parse_window_start(f"{now:%Y-%m}"), "wallet:")
    )
    return build_budget_status(limit, account, used, now)


# MERGED What somebody has and what it went on.


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
