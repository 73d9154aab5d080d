"""Limits in force for a user: what moderators and the owner set, over the settings' defaults. The tightest wins."""

from collections.abc import Iterable

from bot.core.clock import Clock
from bot.core.fresh import Fresh
from bot.core.people import User
from bot.core.storage import Policy, Transaction
from bot.credits.accounts import Limits

USER_DAY = "user_day_micros"
USER_MONTH = "user_month_micros"
WORKSPACE_MONTH = "workspace_month_micros"
BOT_MONTH = "bot_month_micros"
DAILY_ALLOWANCE = "daily_allowance_micros"


FRESH_SECONDS = 1.0
"""How long limits are believed before they are read again."""


class Policies:
    """`daily_allowance` and `bot_month` are the settings' defaults, in micros."""

    def __init__(self, daily_allowance: int, bot_month: int, clock: Clock) -> None:
        self._daily_allowance = daily_allowance
        self._bot_month = bot_month
        self._known: Fresh[tuple[str, str], list[Policy]] = Fresh(clock, FRESH_SECONDS)

    async def limits_of(self, tx: Transaction, user: User) -> Limits:
        """The limits of a user where they ask."""
        place = (user.platform, user.workspace)
        policies = [p for p in await self._known.get(place, lambda: tx.policies.of(*place)) if _concerns(p, user)]
        bot_wide = [policy for policy in policies if policy.scope == "bot"]
        return Limits(
            daily_allowance=_tightest(bot_wide, DAILY_ALLOWANCE, self._daily_allowance) or 0,
            bot_month=_tightest(bot_wide, BOT_MONTH, self._bot_month) or 0,
            user_day=_tightest(policies, USER_DAY),
            user_month=_tightest(policies, USER_MONTH),
            workspace_month=_tightest(policies, WORKSPACE_MONTH),
        )


def _concerns(policy: Policy, user: User) -> bool:
    if policy.scope == "user":
        return policy.scope_id == user.id
    if policy.scope == "role":
        return policy.scope_id in user.roles
    return policy.scope in ("bot", "workspace")


def _tightest(policies: Iterable[Policy], key: str, default: int | None = None) -> int | None:
    values = [policy.value for policy in policies if policy.key == key and isinstance(policy.value, int)]
    return min(values) if values else default
