"""What moderators and the owner look at: everything that is set, who spends, and how budgets stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.json import JSON
from bot.core.money import Account
from bot.core.naming import channel_named, person_linked, role_named
from bot.credits.accounts import start_of_next_month
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

    def role(self, role: str) -> str:
        """A tier by its name and its role's, or by the role alone."""
        tier, name = self.roles.get(role, {}).get(NAME), role_named(self.platform, role)
        return f"{tier} ({name})" if tier else name

    def channel(self, channel: str) -> str:
        return channel_named(self.platform, channel)

    def person(self, person: str) -> str:
        """By name; by a link where nobody knows it."""
        return self.names.get(person) or person_linked(self.platform, person) or person


@dataclass(frozen=True, slots=True)
class Spender:
    """What somebody spent this month, in micros, with how many jobs."""

    id: str
    name: str
    jobs: int
    micros: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a monthly budget stands, in micros; `limit` is None where there is none."""

    limit: int | None
    spent: int
    held: int
    refills_at: datetime


async def overview_of(tx: Transaction, platform: str, workspace: str, policies: Iterable[Policy]) -> Overview:
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


async def spenders_in(tx: Transaction, platform: str, workspace: str, now: datetime, limit: int) -> list[Spender]:
    """Who spent the most this month, dearest first."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = f"{platform}:{workspace}:"
    rows = await tx.ledger.sum_spent_by_user(first, month, limit)
    ids = [asker.removeprefix(first) for asker, _, _ in rows]
    names = await tx.people.get_names(platform, workspace, ids)
    return [Spender(who, names.get(who) or who, jobs, micros) for who, (_, jobs, micros) in zip(ids, rows, strict=True)]


def standing_of(limit: int | None, account: Account | None, used: int, now: datetime) -> Standing:
    """A budget as it stands; `used` is what was spent and held where it has no account yet."""
    refills_at = start_of_next_month(now)
    if account is None:
        return Standing(limit, used, 0, refills_at)
    return Standing(limit, account.spent, account.held, refills_at)
