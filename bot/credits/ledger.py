"""Holding, settling and releasing money. The database refuses what must not be; this decides what should be.

A job holds on every account involved in one transaction: wallets are drawn in order until the amount is met, budgets
must all have room for all of it. Each hold is closed once, by what was metered or by a release.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from bot.core.errors import BudgetSpent, OutOfCredits
from bot.core.ids import new_id
from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold
from bot.core.people import User
from bot.core.storage import Transaction
from bot.credits.accounts import Limits, accounts_of, start_of_next_day
from bot.credits.pricing import CreditForm
from bot.telemetry import metrics

log = logging.getLogger(__name__)

_WHOSE = {"user": "Your budget", "workspace": "This workspace's budget", "bot": "The bot's monthly budget"}


class Ledger:
    """Moves money between accounts, in transactions that the caller opens."""

    def __init__(self, form: CreditForm) -> None:
        self._form = form

    async def hold(self, tx: Transaction, job: str, user: User, amount: int, limits: Limits, now: datetime) -> None:
        """Set `amount` micros aside for a job. Raises `OutOfCredits` or `BudgetSpent`, and then nothing is held."""
        accounts = await self._opened(tx, user, limits, now)
        drawn = self._draw([a for a in accounts if a.kind is AccountKind.WALLET], amount, now)
        budgets = [account for account in accounts if account.kind is AccountKind.BUDGET]
        self._check_room(budgets, amount)
        await tx.ledger.append(
            [
                Entry(account.id, EntryKind.HOLD, 0, held, f"hold:{job}:{account.id}", "bot", now, job)
                for account, held in [*drawn, *((account, amount) for account in budgets)]
            ]
        )
        metrics.holds.labels(outcome="held").inc()

    async def settle(self, tx: Transaction, job: str, cost: int, now: datetime) -> int:
        """Close a job's holds by what it cost, in micros; gives what the person pays, at most what was held."""
        holds = await self._locked_holds(tx, job)
        if not holds:
            return 0
        held = min((hold.amount for hold in _budgets(holds)), default=sum(hold.amount for hold in holds))
        charged = min(cost, held)
        await tx.ledger.append(
            [*_settled_wallets(_wallets(holds), charged, now), *_settled(_budgets(holds), charged, now)]
        )
        await self._count_overrun(tx, holds, cost - charged, now)
        metrics.holds.labels(outcome="settled").inc()
        return charged

    async def release(self, tx: Transaction, job: str, real_cost: int, now: datetime) -> None:
        """Give a job's holds back; what it really cost the owner still counts against the bot's budget."""
        holds = await self._locked_holds(tx, job)
        bot = [hold for hold in holds if hold.account.scope == "bot"]
        charged = min([real_cost, *(hold.amount for hold in bot)])
        released = holds if charged == 0 else [hold for hold in holds if hold.account.scope != "bot"]
        settled = [] if charged == 0 else _settled(bot, charged, now)
        await tx.ledger.append([*(_close(hold, EntryKind.RELEASE, 0, now) for hold in released), *settled])
        if holds:
            await self._count_overrun(tx, holds, real_cost - charged, now)
            metrics.holds.labels(outcome="released").inc()

    async def _locked_holds(self, tx: Transaction, job: str) -> list[Hold]:
        """A job's open holds, their accounts locked in id order as `hold` does: else the two wait for each other."""
        holds = await tx.ledger.open_holds(job)
        await tx.ledger.lock([hold.account.id for hold in holds])
        return holds

    async def count_lost_run(self, tx: Transaction, job: str, cost: int, now: datetime) -> None:
        """A run that failed and is followed by another costs the owner, not the person, whose hold stays as it is."""
        await self._count(tx, await tx.ledger.open_holds(job), cost, "lost run", now)

    async def _opened(self, tx: Transaction, user: User, limits: Limits, now: datetime) -> list[Account]:
        """The accounts of an ask, opened where this is the first, locked, and brought to today's limits."""
        wanted = accounts_of(user, now, limits)
        locked = await tx.ledger.lock([account.id for account, _ in wanted])
        missing = [(account, first) for account, first in wanted if account.id not in locked]
        for account, first in missing:
            await tx.ledger.open(account, _first_grant(account, first, now))
        if missing:
            locked = await tx.ledger.lock([account.id for account, _ in wanted])
        return [await self._at_limit(tx, locked[account.id], limit, now) for account, limit in wanted]

    async def _at_limit(self, tx: Transaction, account: Account, limit: int, now: datetime) -> Account:
        """A budget whose limit was changed since: one adjust row, never below what is held or spent."""
        if account.kind is AccountKind.WALLET or account.granted == limit:
            return account
        delta = max(limit - account.granted, -account.available)
        if delta == 0:
            return account
        key = f"limit:{account.id}:{new_id()}"
        await tx.ledger.append(
            [Entry(account.id, EntryKind.ADJUST, delta, 0, key, "policy", now, reason="limit changed")]
        )
        return (await tx.ledger.lock([account.id]))[account.id]

    def _draw(self, wallets: Sequence[Account], amount: int, now: datetime) -> list[tuple[Account, int]]:
        drawn: list[tuple[Account, int]] = []
        missing = amount
        for wallet in wallets:
            part = min(wallet.available, missing)
            if part > 0:
                drawn.append((wallet, part))
                missing -= part
        if missing > 0:
            # Tomorrow helps only when a full day's allowance would do.
            helps = amount <= sum(wallet.granted if wallet.scope == "daily" else wallet.available for wallet in wallets)
            raise OutOfCredits(
                short_by=self._form.show_up(missing), refills_at=start_of_next_day(now) if helps else None
            )
        # A job that costs nothing holds nothing, but it holds: its rows tell that it was let in.
        return drawn or [(wallets[0], 0)]

    def _check_room(self, budgets: Iterable[Account], amount: int) -> None:
        for budget in budgets:
            if budget.available < amount and budget.expires_at is not None:
                short_by = self._form.show_up(amount - budget.available)
                raise BudgetSpent(whose=_WHOSE[budget.scope], short_by=short_by, refills_at=budget.expires_at)

    async def _count_overrun(self, tx: Transaction, holds: Sequence[Hold], over: int, now: datetime) -> None:
        """A run that cost more than was held is the owner's loss; the bot's budget counts it as far as it has room.

        Its row leaves `granted` alone: an `adjust` would be taken for a changed limit, and put back by the next ask.
        """
        if over <= 0:
            return
        log.error("credits.overrun", extra={"job": holds[0].job, "micros": over})
        await self._count(tx, holds, over, "overrun", now)

    async def _count(self, tx: Transaction, holds: Sequence[Hold], micros: int, what: str, now: datetime) -> None:
        for hold in holds:
            if hold.account.scope != "bot":
                continue
            budget = (await tx.ledger.lock([hold.account.id]))[hold.account.id]
            counted = min(micros, budget.available)
            reason, key = f"{what} of {hold.job}", f"{what.replace(' ', '_')}:{hold.job}"
            if counted > 0:
                row = Entry(budget.id, EntryKind.EXPIRE, -counted, 0, key, "bot", now, reason=reason)
                await tx.ledger.append([row])


def _first_grant(account: Account, amount: int, now: datetime) -> Entry:
    # `daily:<platform>:<user>:<date>` is once per person and day, whatever the workspace.
    key = account.id.removeprefix("wallet:") if account.scope == "daily" else f"open:{account.id}"
    return Entry(account.id, EntryKind.GRANT, amount, 0, key, "policy", now)


def _wallets(holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.account.kind is AccountKind.WALLET]


def _budgets(holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.account.kind is AccountKind.BUDGET]


def _settled_wallets(holds: Iterable[Hold], charged: int, now: datetime) -> list[Entry]:
    entries = []
    for hold in holds:
        part = min(hold.amount, charged)
        entries.append(_close(hold, EntryKind.SETTLE, part, now))
        charged -= part
    return entries


def _settled(holds: Iterable[Hold], charged: int, now: datetime) -> list[Entry]:
    return [_close(hold, EntryKind.SETTLE, charged, now) for hold in holds]


def _close(hold: Hold, kind: EntryKind, cost: int, now: datetime) -> Entry:
    return Entry(
        hold.account.id, kind, -cost, -hold.amount, f"close:{hold.job}:{hold.account.id}", "bot", now, hold.job
    )
