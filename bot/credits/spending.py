"""Read limits and spending for people, and format limits and budgets as sentences."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.json import JSON
from bot.core.money import Account
from bot.core.people import User
from bot.core.platform import format_channel, format_person_link, format_role
from bot.core.time_format import format_date
from bot.credits import limits
from bot.credits.accounts import (
    compute_limit_change_micros,
    get_failed_runs_account,
    get_granted_wallet,
    get_next_day_start,
    get_next_month_start,
    get_workspace_budget,
    list_accounts,
    list_wallet_ids,
    parse_window_start,
    read_prior_usage,
    read_workspace_usage,
)
from bot.credits.limits import NAME, Policies, PolicyTarget, UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Transaction
from bot.storage.policies import Policy

Values = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Overview:
    """All values that are set in a workspace, by key; for roles, channels and people by id."""

    platform: str
    workspace: Values
    roles: Mapping[str, Values]
    channels: Mapping[str, Values]
    people: Mapping[str, Values]
    names: Mapping[str, str] = field(default_factory=dict)
    """The known names of `people`, by id."""

    def format_role(self, role: str) -> str:
        """Return a tier's name with the role's link, or the role's link alone."""
        tier, name = self.roles.get(role, {}).get(NAME), format_role(self.platform, role)
        return f"{tier} ({name})" if tier else name

    def format_channel(self, channel: str) -> str:
        return format_channel(self.platform, channel)

    def format_person(self, person: str) -> str:
        """Return a person's name, or a link without a known name."""
        return self.names.get(person) or format_person_link(self.platform, person) or person


@dataclass(frozen=True, slots=True)
class Spender:
    """The spending of one user this month, and the owner's cost of the user's failed runs."""

    id: str
    name: str
    jobs: int
    spent_micros: int
    failed_runs: int = 0
    failed_micros: int = 0


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The state of a monthly budget; `limit_micros` is None without a limit."""

    limit_micros: int | None
    spent_micros: int
    held_micros: int
    refills_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A user's available credits and the spending of the month."""

    limits: UserLimits
    today_available_micros: int
    daily_allowance_micros: int
    extra_available_micros: int
    refills_at: datetime
    month_refills_at: datetime
    budgets: tuple[Account, ...]
    """The budgets of user and workspace, shortest window first. The bot's budget is private to the owner."""
    usage_by_model: tuple[tuple[str, int, int], ...]
    """(model, jobs, micros) of this month, highest spending first."""

    @property
    def max_job_micros(self) -> int:
        """Return the maximum cost of a job that user and workspace can afford now; the bot's budget does not count."""
        return min(
            [
                self.today_available_micros + self.extra_available_micros,
                *(budget.available_micros for budget in self.budgets),
            ]
        )

    @property
    def spent_this_month_micros(self) -> int:
        return sum(micros for _, _, micros in self.usage_by_model)


async def build_overview(tx: Transaction, platform: str, workspace: str, policies: Iterable[Policy]) -> Overview:
    """Return all values that are set in a workspace."""
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
    """Return the users with the highest spending this month, failed runs included, highest first."""
    month_start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    failed_rows = await tx.ledger.sum_failed_by_user(get_failed_runs_account(platform, workspace, now).id)
    failed = {user: (runs, micros) for user, runs, micros in failed_rows}
    spent = {
        user: (jobs, micros) for user, jobs, micros in await tx.jobs.sum_spent_by_user(platform, workspace, month_start)
    }
    spenders = [Spender(user, "", *spent.get(user, (0, 0)), *failed.get(user, (0, 0))) for user in {**spent, **failed}]
    spenders.sort(key=lambda spender: (-spender.spent_micros - spender.failed_micros, spender.id))
    names = await tx.people.get_names(platform, workspace, [spender.id for spender in spenders[:limit]])
    return [replace(spender, name=names.get(spender.id) or spender.id) for spender in spenders[:limit]]


async def read_workspace_budget_status(
    tx: Transaction, policies: Policies, platform: str, workspace: str, now: datetime
) -> BudgetStatus:
    """Return the state of a workspace's budget this month; without a limit, the spending alone."""
    limit_micros = await policies.get_monthly_budget_micros(tx, PolicyTarget(platform, workspace, "workspace"))
    account = None
    if limit_micros is not None:
        account = await tx.ledger.get_account(get_workspace_budget(platform, workspace, now).id)
    used_micros = 0
    if account is None:
        used_micros = await read_workspace_usage(tx, platform, workspace, now)
    return build_budget_status(limit_micros, account, used_micros, now)


def build_budget_status(
    limit_micros: int | None, account: Account | None, used_micros: int, now: datetime
) -> BudgetStatus:
    """Return the state of a budget. `used_micros` is the spending of a budget without an account so far."""
    refills_at = get_next_month_start(now)
    if account is None:
        return BudgetStatus(limit_micros, used_micros, 0, refills_at)
    return BudgetStatus(limit_micros, account.spent_micros, account.held_micros, refills_at)


async def build_statement(tx: Transaction, user: User, limits: UserLimits, now: datetime) -> Statement:
    """Return the statement of a user in the user's workspace."""
    month_start = parse_window_start(f"{now:%Y-%m}")
    # Accounts are opened by the first request of their window: compute the missing ones as that request would.
    wanted = list_accounts(user, now, limits)
    stored = {account.id: await tx.ledger.get_account(account.id) for account, _ in wanted}
    missing = [account for account, _ in wanted if stored[account.id] is None]
    used = {account.id: await read_prior_usage(tx, account, user) for account in missing}
    by_id = {a.id: _preview_limit(a, limit, stored[a.id], used.get(a.id, 0)) for a, limit in wanted}
    accounts = list(by_id.values())
    today_micros = sum(account.available_micros for account in accounts if account.scope in ("daily", "tier"))
    allowances = [account.available_micros for account in accounts if account.scope == "allowance"]
    return Statement(
        limits=limits,
        today_available_micros=min([today_micros, *allowances]),
        daily_allowance_micros=limits.allowance_micros,
        extra_available_micros=by_id[get_granted_wallet(user.platform, user.workspace, user.id).id].available_micros,
        refills_at=get_next_day_start(now),
        month_refills_at=get_next_month_start(now),
        budgets=tuple(account for account in accounts if account.scope in ("user", "workspace")),
        usage_by_model=tuple(await tx.ledger.sum_spent_by_model(list_wallet_ids(user, now), month_start)),
    )


def _preview_limit(account: Account, limit_micros: int, stored: Account | None, used_micros: int) -> Account:
    """Return the account with the limit that the next request will apply (`Ledger.open_accounts`)."""
    if stored is None:
        granted_micros = max(limit_micros, used_micros)
        return replace(account, granted_micros=granted_micros, balance_micros=granted_micros - used_micros)
    if stored.scope == "granted":
        return stored
    change_micros = compute_limit_change_micros(stored, limit_micros)
    return replace(
        stored,
        granted_micros=stored.granted_micros + change_micros,
        balance_micros=stored.balance_micros + change_micros,
    )


# Sentences.

_BUDGET_NAMES = {"user": "Your limit", "workspace": "This workspace's budget"}

_TEMPLATES: Mapping[str, str] = {
    limits.DAILY_ALLOWANCE: "{} credits each day",
    limits.USER_DAY: "at most {} credits a day",
    limits.USER_MONTH: "at most {} credits a month",
    limits.WORKSPACE_MONTH: "at most {} credits a month",
    limits.BOT_MONTH: "at most {} credits a month",
    limits.AT_ONCE: "{} jobs at once",
    limits.PER_MINUTE: "{} jobs a minute",
    limits.MAX_COUNT: "{} pictures at a time",
    limits.MAX_PIXELS: "{} pixels a picture",
    limits.WEIGHT: "{} turns in the queue",
    limits.COMMANDS: "commands:",
    limits.MODELS: "models:",
}
_PLURAL_OF_ONE = re.compile(r"(?<![\d.,])1 (credit|job|picture|pixel|turn)s")


def format_values(values: Mapping[str, JSON], formatter: CreditFormatter) -> list[str]:
    """Return one phrase for each value that is set: "50 credits each day", "2 jobs at once"."""
    return [_format_value(key, values[key], formatter) for key in _TEMPLATES if values.get(key) is not None]


def _format_value(key: str, value: JSON, formatter: CreditFormatter) -> str:
    if isinstance(value, list):
        names = "any" if limits.ANY in value else ", ".join(map(str, value))
        return f"{_TEMPLATES[key]} {names}"
    number = value if isinstance(value, int) else 0
    amount = formatter.format(number) if key.endswith("_micros") else f"{number:,}"
    return _PLURAL_OF_ONE.sub(r"1 \1", _TEMPLATES[key].format(amount))


def format_job_count(number: int) -> str:
    """Return "1 job", "2,000 jobs"."""
    return "1 job" if number == 1 else f"{number:,} jobs"


def join_phrases(phrases: Iterable[str], *, otherwise: str) -> str:
    """Return phrases as one line, or `otherwise` without phrases."""
    return " · ".join(phrases) or otherwise


def format_budget(budget: Account, formatter: CreditFormatter, zone: str) -> str:
    """Return the state of a budget, for a user whose spending the budget limits."""
    left, total = formatter.format(budget.available_micros), formatter.format(budget.granted_micros)
    refills = f" It refills {format_date(budget.expires_at, zone)}." if budget.expires_at else ""
    return f"{_BUDGET_NAMES[budget.scope]} for {budget.window}: **{left}** of {total} credits left.{refills}"
