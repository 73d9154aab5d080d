"""What moderators and the owner set, over the settings' defaults: read for each ask, changed with a trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.clock import Clock
from bot.core.fresh import Fresh
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.credits.accounts import asker
from bot.credits.limits import BOT_MONTH, WORKSPACE_MONTH, ChannelRules, Limits, limits_of, rules_of
from bot.storage.database import Database, Transaction
from bot.storage.policies import Policy

FRESH_SECONDS = 1.0
"""How long limits are believed before they are read again; what this process changes it believes at once."""

CHANGED: Final = "policy.changed"
"""What the audit calls a change."""


@dataclass(frozen=True, slots=True)
class About:
    """What policies are about: `scope` is `bot`, `workspace`, `channel`, `role` or `user`, and `id` which of them."""

    platform: str
    workspace: str
    scope: str
    id: str = ""


BOT: Final = About("", "", "bot")


class Policies:
    """`daily_allowance` and `bot_month` are the settings' defaults, in micros."""

    def __init__(self, daily_allowance: int, bot_month: int, clock: Clock) -> None:
        self._daily_allowance = daily_allowance
        self._bot_month = bot_month
        self._clock = clock
        self._known: Fresh[tuple[str, str], list[Policy]] = Fresh(clock, FRESH_SECONDS)

    async def limits_of(self, tx: Transaction, user: User) -> Limits:
        """The limits of a user where they ask."""
        policies = await self._of(tx, user.platform, user.workspace)
        return limits_of(policies, user, daily_allowance=self._daily_allowance, bot_month=self._bot_month)

    async def rules_of(self, tx: Transaction, channel: Channel) -> ChannelRules:
        """What may be asked in a channel."""
        return rules_of(await self._of(tx, channel.platform, channel.workspace), channel.id)

    async def budget_of(self, tx: Transaction, about: About) -> int | None:
        """What the bot (`BOT`) or a workspace may spend in a month, in micros; None where nobody set a limit."""
        key = BOT_MONTH if about.scope == "bot" else WORKSPACE_MONTH
        values = await self.set_about(tx, about)
        value = values.get(key, self._bot_month if about.scope == "bot" else None)
        return value if isinstance(value, int) else None

    async def set_about(self, tx: Transaction, about: About) -> dict[str, JSON]:
        """What is set about one thing, by key, as the database has it now."""
        policies = await tx.policies.list_policies(about.platform, about.workspace)
        return {policy.key: policy.value for policy in policies if _is_about(policy, about)}

    async def all_in(self, tx: Transaction, platform: str, workspace: str) -> list[Policy]:
        """Everything that is set in a workspace, as the database has it now."""
        policies = await tx.policies.list_policies(platform, workspace)
        return [policy for policy in policies if (policy.platform, policy.workspace) == (platform, workspace)]

    async def change(self, database: Database, about: About, values: Mapping[str, JSON], by: User) -> dict[str, JSON]:
        """Set these keys, or take them away where the value is None; gives what was set before.

        Of two who change the same thing at once the last one wins, and the audit has both with what they found.
        """
        now = self._clock.now()
        async with database.write() as tx:
            before = await self.set_about(tx, about)
            for key, value in values.items():
                await self._put(tx, about, key, value, by, now)
            facts: dict[str, JSON] = {"scope": about.scope, "id": about.id}
            facts |= {"before": {key: before.get(key) for key in values}, "after": dict(values)}
            await tx.audit.add(asker(by), CHANGED, facts, now, about=(about.platform, about.workspace))
        self._forget(about)
        return before

    async def _put(self, tx: Transaction, about: About, key: str, value: JSON, by: User, now: datetime) -> None:
        name = (about.platform, about.workspace, about.scope, about.id, key)
        if value is None:
            await tx.policies.remove(*name)
        else:
            await tx.policies.put(Policy(*name, value, asker(by), now))

    async def _of(self, tx: Transaction, platform: str, workspace: str) -> list[Policy]:
        return await self._known.get((platform, workspace), lambda: tx.policies.list_policies(platform, workspace))

    def _forget(self, about: About) -> None:
        if about.scope == "bot":
            self._known.forget_all()  # it is among what is known of every workspace
        else:
            self._known.forget((about.platform, about.workspace))


def _is_about(policy: Policy, about: About) -> bool:
    return (policy.platform, policy.workspace, policy.scope, policy.scope_id) == (
        about.platform,
        about.workspace,
        about.scope,
        about.id,
    )
