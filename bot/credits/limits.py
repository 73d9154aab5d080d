"""Resolve the limits of a user from the policies of user, roles, workspace and bot, and check a job against them.

Policies are set by moderators and the owner over the defaults: read for each request, changed with an audit row.

Two rules hold for every key. Among the roles of a user, the most generous value counts: a better tier gives more. Among
user, roles, workspace and bot, the tightest value counts. An allowance and a weight are gifts, not limits: the value of
a role replaces the default, whether larger or smaller.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from bot.core.caches import RecentItems, TtlCache
from bot.core.clock import Clock
from bot.core.errors import LimitReached, RequestRefused
from bot.core.jobs import Job
from bot.core.json import JSON
from bot.core.limits import MAX_OPEN_JOBS_PER_USER, MAX_PACED_USERS, MAX_REDELIVERIES, MAX_REMEMBERED_REQUESTS
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.core.platform import EVERYONE, format_role
from bot.credits.pricing import count_images, count_pixels
from bot.storage.database import Database, Transaction
from bot.storage.policies import Policy

DAILY_ALLOWANCE: Final = "daily_allowance_micros"
USER_DAY: Final = "user_day_micros"
USER_MONTH: Final = "user_month_micros"
WORKSPACE_MONTH: Final = "workspace_month_micros"
BOT_MONTH: Final = "bot_month_micros"
AT_ONCE: Final = "jobs_at_once"
PER_MINUTE: Final = "jobs_per_minute"
MAX_COUNT: Final = "max_count"
MAX_PIXELS: Final = "max_pixels"
WEIGHT: Final = "weight"
MODELS: Final = "models"
COMMANDS: Final = "commands"
NAME: Final = "name"
TIME_ZONE: Final = "setting:time_zone"

ANY: Final = "*"
"""In a list of models or commands: all models or commands."""


@dataclass(frozen=True, slots=True)
class UserLimits:
    """The limits of a user in one workspace; None for no limit."""

    daily_allowance_micros: int
    """The daily allowance of every user, over all workspaces of a platform."""
    bot_month_micros: int
    user_day_micros: int | None = None
    user_month_micros: int | None = None
    workspace_month_micros: int | None = None
    tier_allowance_micros: int | None = None
    """The daily allowance from a role of this workspace, instead of the default."""
    jobs_at_once: int | None = None
    jobs_per_minute: int | None = None
    failed_runs_day_micros: int | None = None
    """The owner's cost of the user's failed runs in a day, over all workspaces, from which the user must wait."""
    max_count: int | None = None
    max_pixels: int | None = None
    models: frozenset[str] | None = None
    """The permitted models; None for all."""
    weight: int = 1
    """The user's share of a queue, where a user without a tier has 1."""
    tier: str = ""
    """The name of the most generous role."""
    time_zone: str = "UTC"

    @property
    def allowance_micros(self) -> int:
        """Return the daily allowance in this workspace, in micros."""
        return self.daily_allowance_micros if self.tier_allowance_micros is None else self.tier_allowance_micros


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """The limits of every user from the settings; None for no limit."""

    jobs_at_once: int | None = None
    jobs_per_minute: int | None = None
    """Both hold for users without such a limit from a moderator or the owner."""
    failed_runs_day_micros: int | None = None


NO_DEFAULTS: Final = DefaultLimits()


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """The permitted models and commands of a channel; None for all."""

    models: frozenset[str] | None = None
    commands: frozenset[str] | None = None


def resolve_limits(
    policies: Iterable[Policy],
    user: User,
    *,
    daily_allowance_micros: int,
    bot_month_micros: int,
    defaults: DefaultLimits = NO_DEFAULTS,
) -> UserLimits:
    """Return the limits of a user; both amounts and `defaults` come from the settings."""
    applicable = [policy for policy in policies if _applies_to(policy, user)]
    by_role = [policy for policy in applicable if policy.scope == "role"]
    bot_wide = [policy for policy in applicable if policy.scope == "bot"]
    daily, month = _list_numbers(bot_wide, DAILY_ALLOWANCE), _list_numbers(bot_wide, BOT_MONTH)
    zone = next((str(policy.value) for policy in applicable if policy.key == TIME_ZONE and policy.value), "UTC")
    return UserLimits(
        daily_allowance_micros=min(daily, default=daily_allowance_micros),
        bot_month_micros=min(month, default=bot_month_micros),
        user_day_micros=_find_tightest(applicable, USER_DAY),
        user_month_micros=_find_tightest(applicable, USER_MONTH),
        workspace_month_micros=_find_tightest(applicable, WORKSPACE_MONTH),
        tier_allowance_micros=max(_list_numbers(by_role, DAILY_ALLOWANCE), default=None),
        jobs_at_once=_find_tightest(applicable, AT_ONCE, defaults.jobs_at_once),
        jobs_per_minute=_find_tightest(applicable, PER_MINUTE, defaults.jobs_per_minute),
        failed_runs_day_micros=defaults.failed_runs_day_micros,
        max_count=_find_tightest(applicable, MAX_COUNT),
        max_pixels=_find_tightest(applicable, MAX_PIXELS),
        models=_unite_names(by_role, MODELS),
        weight=max(_list_numbers(by_role, WEIGHT), default=1),
        tier=_name_best_role(by_role, user.platform),
        time_zone=zone,
    )


def resolve_channel_rules(policies: Iterable[Policy], channel: str) -> ChannelRules:
    """Return the permitted models and commands of a channel."""
    of_channel = [policy for policy in policies if policy.scope == "channel" and policy.scope_id == channel]
    return ChannelRules(models=_unite_names(of_channel, MODELS), commands=_unite_names(of_channel, COMMANDS))


def _applies_to(policy: Policy, user: User) -> bool:
    if policy.scope == "user":
        return policy.scope_id == user.id
    if policy.scope == "role":
        # Discord names the role of all members by the id of the server.
        return policy.scope_id in user.roles or policy.scope_id in (EVERYONE, user.workspace)
    return policy.scope in ("bot", "workspace")


def _list_numbers(policies: Iterable[Policy], key: str) -> list[int]:
    return [policy.value for policy in policies if policy.key == key and isinstance(policy.value, int)]


def _find_tightest(policies: Sequence[Policy], key: str, default: int | None = None) -> int | None:
    """Return the smallest value, with the largest value of the roles counting for all roles; else `default`."""
    by_role = _list_numbers((policy for policy in policies if policy.scope == "role"), key)
    others = _list_numbers((policy for policy in policies if policy.scope != "role"), key)
    return min([*others, *([max(by_role)] if by_role else [])], default=default)


def _unite_names(policies: Iterable[Policy], key: str) -> frozenset[str] | None:
    """Return all names that any policy allows; None if no policy has the key, or a policy allows all names."""
    lists = [policy.value for policy in policies if policy.key == key and isinstance(policy.value, list)]
    allowed = frozenset(str(name) for names in lists for name in names)
    return None if not lists or ANY in allowed else allowed


def _name_best_role(by_role: Collection[Policy], platform: str) -> str:
    """Return the name of the role with the largest daily allowance, then the largest weight; empty without roles."""
    roles = {policy.scope_id: {p.key: p.value for p in by_role if p.scope_id == policy.scope_id} for policy in by_role}
    if not roles:
        return ""

    def get_generosity(role: str) -> tuple[int, int, str]:
        micros, weight = roles[role].get(DAILY_ALLOWANCE), roles[role].get(WEIGHT)
        return (micros if isinstance(micros, int) else -1, weight if isinstance(weight, int) else 1, role)

    best = max(roles, key=get_generosity)
    return str(roles[best].get(NAME) or format_role(platform, best))


def check_permissions(job: Job, model: Model, limits: UserLimits, rules: ChannelRules) -> None:
    """Raise `RequestRefused` if user or channel lack the permission for the job's command, model, count or size."""
    if rules.commands is not None and job.command not in rules.commands:
        raise RequestRefused(
            f"/{job.command} is not for this channel.{_list_alternatives(rules.commands, 'Here you may use /', ', /')}"
        )
    if rules.models is not None and model.key not in rules.models:
        raise RequestRefused(
            f"{model.title} is not for this channel.{_list_alternatives(rules.models, 'Here you may use ')}"
        )
    if limits.models is not None and model.key not in limits.models:
        raise RequestRefused(
            f"{model.title} is not among the models you may use.{_list_alternatives(limits.models, 'You may use ')}"
        )
    count, pixels = count_images(model, job.inputs), count_pixels(job.inputs)
    if limits.max_count is not None and count > limits.max_count:
        raise RequestRefused(f"You may ask for {limits.max_count} at a time at most, not {count}.")
    if limits.max_pixels is not None and pixels is not None and pixels > limits.max_pixels:
        raise RequestRefused(f"You may ask for {limits.max_pixels:,} pixels a picture at most, not {pixels:,}.")


async def check_rate(tx: Transaction, user: User, limits: UserLimits, now: datetime) -> None:
    """Raise `LimitReached` if the user has too many open jobs, or asked too often in the last minute."""
    # The job's own row exists already, so "more than the limit" is right. The caller has locked the user's wallet:
    # of two simultaneous requests, the second sees the job of the first.
    wait_seconds, counts = 0.0, None
    if limits.jobs_per_minute:
        # Before the other check, which the same statement answers: a refusal rolls the count of this ask back.
        key = f"jobs:{user.platform}:{user.workspace}:{user.id}"
        wait_seconds, counts = await tx.rates.take_for_job(key, limits.jobs_per_minute, now, user)
    here, everywhere = counts or await tx.jobs.count_open(user)
    if limits.jobs_at_once is not None and here > limits.jobs_at_once:
        if limits.jobs_at_once == 0:
            raise build_pace_error(0, 0)
        running = "one job" if limits.jobs_at_once == 1 else f"{limits.jobs_at_once} jobs"
        raise LimitReached(f"You may have {running} at once. Wait for one to end, or /cancel it.")
    if everywhere > MAX_OPEN_JOBS_PER_USER:
        raise LimitReached(
            f"You have {MAX_OPEN_JOBS_PER_USER} unfinished jobs, which is the most: wait for one to end, or /cancel it."
        )
    if limits.jobs_per_minute is not None and (limits.jobs_per_minute == 0 or wait_seconds > 0):
        raise build_pace_error(limits.jobs_per_minute, wait_seconds)


def build_pace_error(per_minute: int, wait_seconds: float) -> LimitReached:
    """Return the error for an ask beyond the pace; a pace of 0 admits nothing."""
    if per_minute == 0:
        fact = "You may not run anything here at the moment."
        return LimitReached(
            f"{fact} Ask a moderator.", moderator_text=f"{fact} /quota set with your name raises the pace."
        )
    often = "once" if per_minute == 1 else f"{per_minute} times"
    return LimitReached(f"You may ask {often} a minute. Try again in {ceil(wait_seconds)} s.")


def is_model_allowed(model: str, limits: UserLimits, rules: ChannelRules) -> bool:
    """Return whether user and channel have the permission for a model."""
    return all(allowed is None or model in allowed for allowed in (limits.models, rules.models))


def _list_alternatives(allowed: Iterable[str], lead: str, between: str = ", ") -> str:
    names = between.join(sorted(allowed))
    return f" {lead}{names}." if names else ""


WINDOW_SECONDS = 60.0


class AskPace:
    """Admits at most `per_minute` asks of a user in a minute, also all of them at once.

    The pace, in memory, counts refused asks, repeats and reused results like paid jobs, before files are fetched and
    before the database is written. `check_rate` counts accepted jobs over all processes, in the transaction of the job,
    and forgets a refused job with the transaction.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The generic cell rate algorithm, as in `storage.policies`: the time at which all admitted asks are paid off.
        self._free_at: RecentItems[tuple[str, str, str], float] = RecentItems(MAX_PACED_USERS)
        # The free deliveries left of each request. A page's client chooses the ids of requests: one id repeated without
        # end must not be free.
        self._free_deliveries: RecentItems[tuple[str, str, str, str], int] = RecentItems(MAX_REMEMBERED_REQUESTS)

    def count(self, user: User, request_key: str, per_minute: int | None) -> None:
        """Count an ask, once for all deliveries of a request. Raise `LimitReached` if the user asked too often."""
        if per_minute is None:
            return
        if per_minute == 0:
            raise build_pace_error(0, 0)
        key = (user.platform, user.workspace, user.id)
        if (free := self._free_deliveries.get((*key, request_key), 0)) > 0:
            self._free_deliveries[*key, request_key] = free - 1
            return
        now, interval = self._clock.monotonic(), WINDOW_SECONDS / per_minute
        free_at = max(self._free_at.get(key, now), now)
        wait_seconds = free_at - (now + WINDOW_SECONDS - interval)
        if wait_seconds > 1e-6:  # sums of intervals are not exact in floating point
            raise build_pace_error(per_minute, wait_seconds)
        self._free_at[key] = free_at + interval
        self._free_deliveries[*key, request_key] = MAX_REDELIVERIES


# Policies.

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
