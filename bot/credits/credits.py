"""What the rest of the bot asks of money: prices before, holds, closes, grants, and what somebody has left."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import BadOption, DuplicateEntry
from bot.core.money import Account, Entry, EntryKind
from bot.core.people import User
from bot.core.storage import Database, Transaction
from bot.credits.accounts import accounts_of, daily_wallet_ids, granted_wallet, start_of_next_day
from bot.credits.ledger import Ledger
from bot.credits.policies import Policies
from bot.credits.pricing import CreditForm


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person has and what it went on. Amounts in micros."""

    today_left: int
    today_allowance: int
    extra_left: int
    refills_at: datetime
    budgets: tuple[Account, ...]
    month: tuple[tuple[str, int, int], ...]
    """(model, jobs, micros) of this month, dearest first."""


class Credits:
    """The service; holds and closes run inside the transaction of the job they belong to."""

    def __init__(self, database: Database, policies: Policies, form: CreditForm, clock: Clock) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self.form = form
        self.ledger = Ledger(form)

    async def hold(self, tx: Transaction, job: str, user: User, amount: int) -> None:
        """Set money aside for a job; raises `OutOfCredits` or `BudgetSpent`."""
        limits = await self._policies.limits_of(tx, user)
        await self.ledger.hold(tx, job, user, amount, limits, self._clock.now())

    async def statement(self, user: User) -> Statement:
        """What a person has left, and what this month went on."""
        now = self._clock.now()
        async with self._database.read() as tx:
            limits = await self._policies.limits_of(tx, user)
            wanted = [account for account, _ in accounts_of(user, now, limits)]
            found = {account.id: await tx.ledger.get(account.id) for account in wanted}
            extra = granted_wallet(user.platform, user.workspace, user.id).id
            month = await tx.ledger.spent_by_model([*daily_wallet_ids(user, now), extra])
        today, granted = found.get(wanted[0].id), found.get(extra)
        return Statement(
            today_left=today.available if today else limits.daily_allowance,
            today_allowance=today.granted if today else limits.daily_allowance,
            extra_left=granted.available if granted else 0,
            refills_at=start_of_next_day(now),
            budgets=tuple(a for account in wanted[2:] if account.scope != "bot" and (a := found[account.id])),
            month=tuple(month),
        )

    async def grant(self, by: User, to: str, micros: int, request_key: str) -> tuple[str, int]:
        """Give somebody in this workspace more; gives their id and what they then have extra, in micros.

        Raises `BadOption` for somebody never seen here. The request key makes a grant unrepeatable.
        """
        now = self._clock.now()
        async with self._database.read() as tx:
            user_id = _the_one(to, await tx.people.by_name(by.platform, by.workspace, to))
        wallet = granted_wallet(by.platform, by.workspace, user_id)
        actor = f"{by.platform}:{by.workspace}:{by.id}"
        with contextlib.suppress(DuplicateEntry):  # delivered twice, done once
            async with self._database.write() as tx:
                await tx.ledger.open(wallet, Entry(wallet.id, EntryKind.GRANT, 0, 0, f"open:{wallet.id}", actor, now))
                await tx.ledger.append(
                    [Entry(wallet.id, EntryKind.GRANT, micros, 0, f"grant:{request_key}", actor, now)]
                )
                await tx.audit.add(actor, "credits.grant", {"to": user_id, "micros": micros}, now)
        async with self._database.read() as tx:
            after = await tx.ledger.get(wallet.id)
        return user_id, after.available if after else micros


def _the_one(name: str, ids: Sequence[str]) -> str:
    """Whom a name means; raises `BadOption` when it is nobody, or might be two."""
    if not ids:
        raise BadOption(f"I have not seen “{name}” here yet. They must have used me once.", option="user")
    if len(ids) > 1:
        raise BadOption(f"Several people are called “{name}”: {' and '.join(ids)}. Please give the id.", option="user")
    return ids[0]
