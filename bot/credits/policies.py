"""Policies that moderators and the owner set over the defaults: read for each request, changed with an audit row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.caches import RecentItems, TtlCache
from bot.core.clock import Clock
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.credits.limits import (
    BOT_MONTH,
    NO_DEFAULTS,
    WORKSPACE_MONTH,
    ChannelRules,
    DefaultLimits,
    UserLimits,
    resolve_channel_rules,
    resolve_limits,
)
from bot.storage.database import Database, Transaction
from bot.storage.policies import Policy

LIMITS_TTL_SECONDS = 1.0
"""The longest delay until a change by another process applies. Changes by this process apply at once."""

_RESOLVED_USERS = 64

POLICY_CHANGED: Final = "policy.changed"
"""The audit's action for a change."""


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """The subject of policies: `scope` is `bot`, `workspace`, `channel`, `role` or `user`, `id` the subject's id."""

    platform: str
    workspace: str
    scope: str
    id: str = ""


BOT_TARGET: Final = PolicyTarget("", "", "bot")


class Policies:
    """Reads and changes policies. Both amounts and `defaults` come from the settings."""

    def __init__(
        self,
        daily_allowance_micros: int,
        bot_month_micros: int,
        clock: Clock,
        defaults: DefaultLimits = NO_DEFAULTS,
    ) -> None:
        self._daily_allowance_micros = daily_allowance_micros
        self._bot_month_micros = bot_month_micros
        self._clock = clock
        self._defaults = defaults
        self._cache: TtlCache[tuple[str, str], list[Policy]] = TtlCache(clock, LIMITS_TTL_SECONDS)
        # The limits with the policies that they follow from: one ask needs the limits three times.
        self._resolved: RecentItems[User, tuple[list[Policy], UserLimits]] = RecentItems(_RESOLVED_USERS)

    async def get_limits(self, tx: Transaction, user: User) -> UserLimits:
        """Return the limits of a user in the user's workspace."""
        return self._resolve(await self._list_cached(tx, user.platform, user.workspace), user)

    def find_limits(self, user: User) -> UserLimits | None:
        """Return the limits of a user if the policies of the workspace are cached."""
        policies = self._cache.find((user.platform, user.workspace))
        return None if policies is None else self._resolve(policies, user)

    def _resolve(self, policies: list[Policy], user: User) -> UserLimits:
        known, limits = self._resolved.get(user, (None, None))
        if limits is None or known is not policies:
            limits = resolve_limits(
                policies,
                user,
                daily_allowance_micros=self._daily_allowance_micros,
                bot_month_micros=self._bot_month_micros,
                defaults=self._defaults,
            )
            self._resolved[user] = policies, limits
        return limits

    async def get_channel_rules(self, tx: Transaction, channel: Channel) -> ChannelRules:
        """Return the permitted models and commands of a channel."""
        return resolve_channel_rules(await self._list_cached(tx, channel.platform, channel.workspace), channel.id)

    async def get_monthly_budget_micros(self, tx: Transaction, target: PolicyTarget) -> int | None:
        """Return the monthly budget of the bot (`BOT_TARGET`) or a workspace, in micros; None without a limit."""
        key = BOT_MONTH if target.scope == "bot" else WORKSPACE_MONTH
        values = await self.get_values(tx, target)
        value = values.get(key, self._bot_month_micros if target.scope == "bot" else None)
        return value if isinstance(value, int) else None

    async def get_values(self, tx: Transaction, target: PolicyTarget) -> dict[str, JSON]:
        """Return the values of one subject by key, uncached."""
        policies = await tx.policies.list_policies(target.platform, target.workspace)
        return {policy.key: policy.value for policy in policies if _matches_target(policy, target)}

    async def list_policies(self, tx: Transaction, platform: str, workspace: str) -> list[Policy]:
        """Return all policies of a workspace, uncached."""
        policies = await tx.policies.list_policies(platform, workspace)
        return [policy for policy in policies if (policy.platform, policy.workspace) == (platform, workspace)]

    async def change(
        self, database: Database, target: PolicyTarget, values: Mapping[str, JSON], by: User
    ) -> dict[str, JSON]:
        """Set the keys, or remove the keys with the value None; return the values before the change.

        Of two simultaneous changes the last wins; the audit has both, each with the values before.
        """
        now = self._clock.now()
        async with database.write() as tx:
            before = await self.get_values(tx, target)
            for key, value in values.items():
                await self._put(tx, target, key, value, by, now)
            facts: dict[str, JSON] = {"scope": target.scope, "id": target.id}
            facts |= {"before": {key: before.get(key) for key in values}, "after": dict(values)}
            await tx.audit.add(by.actor, POLICY_CHANGED, facts, now, about=(target.platform, target.workspace))
        self._invalidate(target)
        return before

    async def _put(self, tx: Transaction, target: PolicyTarget, key: str, value: JSON, by: User, now: datetime) -> None:
        name = (target.platform, target.workspace, target.scope, target.id, key)
        if value is None:
            await tx.policies.remove(*name)
        else:
            await tx.policies.put(Policy(*name, value, by.actor, now))

    async def _list_cached(self, tx: Transaction, platform: str, workspace: str) -> list[Policy]:
        return await self._cache.get((platform, workspace), lambda: tx.policies.list_policies(platform, workspace))

    def _invalidate(self, target: PolicyTarget) -> None:
        if target.scope == "bot":
            self._cache.clear()  # the cached list of each workspace includes the policies of the bot
        else:
            self._cache.invalidate((target.platform, target.workspace))


def _matches_target(policy: Policy, target: PolicyTarget) -> bool:
    return PolicyTarget(policy.platform, policy.workspace, policy.scope, policy.scope_id) == target
