"""What moderators and the owner look at: everything that is set, who spends, and how budgets stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.json import JSON
from bot.core.money import Account
from bot.core.naming import format_channel, format_person_link, format_role
from bot.credits.accounts import get_next_month_start
from bot.credits.limits import NAME
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
