"""What a person may spend and do where they ask, out of what was set for them, their roles, the workspace and the bot.

Two rules, for every key alike. Of the roles a person has, the most generous counts: a better tier gives more. Of all
that then speak (the person, their roles, the workspace, the bot), the tightest counts. An allowance and a weight are
gifts, not limits: a role's stands in place of the default, whether it is more or less.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from bot.core.errors import LimitReached, RequestRefused
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import User
from bot.core.platform_syntax import EVERYONE, format_role
from bot.credits.pricing import count_images, count_pixels
from bot.storage.database import Transaction
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
"""Among models or commands: all of them."""


@dataclass(frozen=True, slots=True)
class UserLimits:
    """What may be spent, in micros, and done; None where nobody set a limit."""

    daily_allowance_micros: int
    """What everybody gets each day, wherever they ask."""
    bot_month_micros: int
    user_day_micros: int | None = None
    user_month_micros: int | None = None
    workspace_month_micros: int | None = None
    tier_allowance_micros: int | None = None
    """What a role of this workspace gives instead."""
    jobs_at_once: int | None = None
    jobs_per_minute: int | None = None
    max_count: int | None = None
    max_pixels: int | None = None
    models: frozenset[str] | None = None
    """The only models they may use."""
    weight: int = 1
    """How many turns they get in a queue for one of a person without a tier."""
    tier: str = ""
    """What the role that gives the most is called."""
    time_zone: str = "UTC"

    @property
    def allowance_micros(self) -> int:
        """What they get each day here, in micros."""
        return self.daily_allowance_micros if self.tier_allowance_micros is None else self.tier_allowance_micros


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What may be asked in a channel; None where nobody set a rule."""

    models: frozenset[str] | None = None
    commands: frozenset[str] | None = None


def resolve_limits(
    policies: Iterable[Policy], user: User, *, daily_allowance_micros: int, bot_month_micros: int
) -> UserLimits:
    """The limits of a user. `daily_allowance` and `bot_month` are the settings' defaults, in micros."""
    concerned = [policy for policy in policies if _concerns(policy, user)]
    by_role = [policy for policy in concerned if policy.scope == "role"]
    bot_wide = [policy for policy in concerned if policy.scope == "bot"]
    daily, month = _numbers(bot_wide, DAILY_ALLOWANCE), _numbers(bot_wide, BOT_MONTH)
    zone = next((str(policy.value) for policy in concerned if policy.key == TIME_ZONE and policy.value), "UTC")
    return UserLimits(
        daily_allowance_micros=min(daily, default=daily_allowance_micros),
        bot_month_micros=min(month, default=bot_month_micros),
        user_day_micros=_tightest(concerned, USER_DAY),
        user_month_micros=_tightest(concerned, USER_MONTH),
        workspace_month_micros=_tightest(concerned, WORKSPACE_MONTH),
        tier_allowance_micros=max(_numbers(by_role, DAILY_ALLOWANCE), default=None),
        jobs_at_once=_tightest(concerned, AT_ONCE),
        jobs_per_minute=_tightest(concerned, PER_MINUTE),
        max_count=_tightest(concerned, MAX_COUNT),
        max_pixels=_tightest(concerned, MAX_PIXELS),
        models=_union(by_role, MODELS),
        weight=max(_numbers(by_role, WEIGHT), default=1),
        tier=_tier(by_role, user.platform),
        time_zone=zone,
    )


def resolve_channel_rules(policies: Iterable[Policy], channel: str) -> ChannelRules:
    """What may be asked in a channel."""
    here = [policy for policy in policies if policy.scope == "channel" and policy.scope_id == channel]
    return ChannelRules(models=_union(here, MODELS), commands=_union(here, COMMANDS))


def _concerns(policy: Policy, user: User) -> bool:
    if policy.scope == "user":
        return policy.scope_id == user.id
    if policy.scope == "role":
        return policy.scope_id in user.roles or policy.scope_id in (EVERYONE, user.workspace)
    return policy.scope in ("bot", "workspace")


def _numbers(policies: Iterable[Policy], key: str) -> list[int]:
    return [policy.value for policy in policies if policy.key == key and isinstance(policy.value, int)]


def _tightest(policies: Sequence[Policy], key: str) -> int | None:
    """The smallest of what is set, where a person's roles together say the largest of theirs."""
    by_role = _numbers((policy for policy in policies if policy.scope == "role"), key)
    others = _numbers((policy for policy in policies if policy.scope != "role"), key)
    return min([*others, *([max(by_role)] if by_role else [])], default=None)


def _union(policies: Iterable[Policy], key: str) -> frozenset[str] | None:
    """All that any of these allows; None where none of them says anything, or one allows everything."""
    said = [policy.value for policy in policies if policy.key == key and isinstance(policy.value, list)]
    allowed = frozenset(str(name) for names in said for name in names)
    return None if not said or ANY in allowed else allowed


def _tier(by_role: Collection[Policy], platform: str) -> str:
    """What a person's best role is called: the one that gives the most a day, then the most turns."""
    roles = {policy.scope_id: {p.key: p.value for p in by_role if p.scope_id == policy.scope_id} for policy in by_role}
    if not roles:
        return ""

    def generosity(role: str) -> tuple[int, int, str]:
        gives, turns = roles[role].get(DAILY_ALLOWANCE), roles[role].get(WEIGHT)
        return (gives if isinstance(gives, int) else -1, turns if isinstance(turns, int) else 1, role)

    best = max(roles, key=generosity)
    return str(roles[best].get(NAME) or format_role(platform, best))


# MERGED May this person run this model here, so often, so large? Asked inside the transaction that accepts a job.


def check_permissions(job: Job, model: Model, limits: UserLimits, rules: ChannelRules) -> None:
    """Raises `Refused` for a command, a model or a size that was not given to this person, or to this channel."""
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
    """Raises `LimitReached` when too many run, or came in the last minute. The job's own row is there already.

    The caller has locked the person's wallet, so that of two asks the second sees the first.
    """
    if limits.jobs_at_once is not None and await tx.jobs.count_open_for_user(user) > limits.jobs_at_once:
        if limits.jobs_at_once == 0:
            raise LimitReached("You may not run anything here at the moment. Ask a moderator.")
        running = "one job" if limits.jobs_at_once == 1 else f"{limits.jobs_at_once} jobs"
        raise LimitReached(f"You may have {running} at once. Wait for one to end, or /cancel it.")
    if limits.jobs_per_minute is None:
        return
    if limits.jobs_per_minute == 0:
        raise LimitReached("You may not run anything here at the moment. Ask a moderator.")
    key = f"jobs:{user.platform}:{user.workspace}:{user.id}"
    wait = await tx.rates.take(key, limits.jobs_per_minute, now)
    if wait > 0:
        often = "once" if limits.jobs_per_minute == 1 else f"{limits.jobs_per_minute} times"
        raise LimitReached(f"You may ask {often} a minute. Try again in {ceil(wait)} s.")


def is_model_allowed(model: str, limits: UserLimits, rules: ChannelRules) -> bool:
    """Whether a model is given to this person in this channel."""
    return all(allowed is None or model in allowed for allowed in (limits.models, rules.models))


def _list_alternatives(allowed: Iterable[str], lead: str, between: str = ", ") -> str:
    names = between.join(sorted(allowed))
    return f" {lead}{names}." if names else ""
