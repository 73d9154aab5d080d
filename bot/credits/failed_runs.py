"""Count the owner's cost of failed runs by user and by workspace, and refuse users whose failed runs cost too much.

A failed run is free for the user, and the owner pays the backend. Each count is an account that only grows in spending:
one of the workspace's month, for `/quota top`, and one of the user's day, for the bound.
"""

from dataclasses import replace
from datetime import datetime

from bot.core.errors import LimitReached
from bot.core.money import Account, Entry, EntryKind
from bot.core.people import User
from bot.core.time_format import format_weekday
from bot.credits.accounts import get_failed_runs_account, get_next_day_start, get_user_failed_runs_account
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Transaction


def list_failed_runs_accounts(user: User, now: datetime) -> list[Account]:
    """Return the accounts that count the failed runs of a user: of the workspace's month, and of the user's day."""
    return [get_failed_runs_account(user.platform, user.workspace, now), get_user_failed_runs_account(user, now)]


async def record_failed_run(
    tx: Transaction, user: User, job: str, cost_micros: int, now: datetime, *, prediction: str = ""
) -> None:
    """Count the owner's cost of a failed run. `prediction` is a run whose job goes on with a second run, else empty."""
    if cost_micros <= 0:
        return
    for account in list_failed_runs_accounts(user, now):
        first = Entry(account.id, EntryKind.GRANT, 0, 0, f"open:{account.id}", "policy", now)
        await tx.ledger.open_account(account, first)
        key, reason = f"failed_run:{prediction or job}:{account.id}", "failed run"
        # The raise pays for the count: the account is a counter, and refuses nothing by itself.
        count = Entry(account.id, EntryKind.EXPIRE, -cost_micros, 0, key, user.actor, now, job, prediction, reason)
        room = replace(count, kind=EntryKind.ADJUST, balance_delta_micros=cost_micros, key=f"beyond:{key}")
        await tx.ledger.append([room, count])


async def check_failed_runs(
    tx: Transaction, user: User, limits: UserLimits, formatter: CreditFormatter, now: datetime
) -> None:
    """Raise `LimitReached` if the user's failed runs of today cost the owner the daily bound."""
    if limits.failed_runs_day_micros is None:
        return
    account = await tx.ledger.get_account(get_user_failed_runs_account(user, now).id)
    if account is None or account.spent_micros < max(limits.failed_runs_day_micros, 1):
        return
    cost, end = formatter.format(account.spent_micros), format_weekday(get_next_day_start(now), limits.time_zone)
    raise LimitReached(f"Your failed runs cost {cost} credits today: wait until {end}, or ask a moderator.")
