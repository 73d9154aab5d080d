"""Holding, settling and releasing money. The database refuses what must not be; this decides what should be.

A job holds on every account involved in one transaction: wallets are drawn in order until the amount is met, budgets
must all have room for all of it. Each hold is closed once, by what was metered or by a release.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.errors import BudgetSpent, NoMoney, OutOfCredits
from bot.core.ids import new_id
from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold
from bot.core.people import User
from bot.credits.accounts import accounts_of, asker, start_of_next_day
from bot.credits.limits import Limits
from bot.credits.moments import day_told, weekday_told
from bot.credits.pricing import CreditForm
from bot.credits.windows import used_before
from bot.storage.database import Transaction
from bot.telemetry import metrics

log = logging.getLogger(__name__)

Watch = Callable[[Sequence[Account], bool], None]

LOST_RUN = "lost run"
"""What the bot's budget says of a run that was followed by another; its prediction's id follows."""

_SHARED = frozenset({"workspace", "bot"})
"""Budgets that are told of when they run out: a person's own limit is theirs alone to hear of."""

_WHOSE = {"user": "Your budget", "workspace": "This workspace's budget", "bot": "The bot's monthly budget"}


class Ledger:
    """Moves money between accounts, in transactions that the caller opens.

    `watch` is shown the shared budgets of each hold and close as they are then, and whether one had no room.
    """

    def __init__(self, form: CreditForm, watch: Watch = lambda budgets, was_refused: None) -> None:
        self._form = form
        self._watch = watch

    async def hold(self, tx: Transaction, job: str, user: User, amount: int, limits: Limits, now: datetime) -> None:
        """Set `amount` micros aside for a job. Raises `OutOfCredits` or `BudgetSpent`, and then nothing is held."""
        await self.hold_on(tx, await self.opened(tx, user, limits, now), job, user, amount, limits, now)

    async def opened(self, tx: Transaction, user: User, limits: Limits, now: datetime) -> list[Account]:
        """The accounts of an ask, opened where this is the first, locked, and brought to today's limits.

        Asks of one person are in line from here to the end of their transactions: the first wallet is in all of them.
        """
        wanted = accounts_of(user, now, limits)
        locked = await tx.ledger.lock_accounts([account.id for account, _ in wanted])
        missing = [(account, first) for account, first in wanted if account.id not in locked]
        for account, first in missing:
            await _open(tx, account, first, user, now)
        if missing:
            locked = await tx.ledger.lock_accounts([account.id for account, _ in wanted])
        return [await self._at_limit(tx, locked[account.id], limit, now) for account, limit in wanted]

    async def hold_on(
        self,
        tx: Transaction,
        accounts: Sequence[Account],
        job: str,
        user: User,
        amount: int,
        limits: Limits,
        now: datetime,
    ) -> None:
        """The same on accounts that are `opened` already."""
        drawn = _draw(accounts, amount)
        budgets = [
            account for account in accounts if account.kind is AccountKind.BUDGET and account.scope != "allowance"
        ]
        try:
            self._check_wallets(accounts, amount, sum(part for _, part in drawn), limits, now)
            self._check_room(accounts, budgets, amount, limits)
        except NoMoney:
            metrics.holds.labels(outcome="refused").inc()
            raise
        by = asker(user)
        await tx.ledger.append(
            [
                Entry(account.id, EntryKind.HOLD, 0, held, f"hold:{job}:{account.id}", by, now, job)
                for account, held in [
                    *drawn,
                    *_of_allowance(accounts, drawn),
                    *((budget, amount) for budget in budgets),
                ]
            ]
        )
        metrics.holds.labels(outcome="held").inc()

    async def settle(self, tx: Transaction, job: str, cost: int, now: datetime) -> int:
        """Close a job's holds by what it cost, in micros; gives what the person pays, at most what was held."""
        holds = await self._locked_holds(tx, job)
        if not holds:
            return 0
        charged = min(cost, sum(hold.amount for hold in _wallets(holds)))
        await tx.ledger.append(
            [*_settled_wallets(_wallets(holds), charged, now), *_settled(_budgets(holds), charged, now)]
        )
        await self._count_overrun(tx, holds, cost - charged, now)
        self._show(holds, charged)
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
            self._show(bot, charged)
            metrics.holds.labels(outcome="released").inc()

    async def count_lost_run(self, tx: Transaction, job: str, prediction: str, cost: int, now: datetime) -> None:
        """A run that failed and is followed by another costs the owner, not the person, whose hold stays as it is."""
        await self._count(tx, await tx.ledger.list_open_holds(job), cost, f"{LOST_RUN} {prediction}", now)

    async def _locked_holds(self, tx: Transaction, job: str) -> list[Hold]:
        """A job's open holds, their accounts locked in id order as `hold` does: else the two wait for each other."""
        holds = await tx.ledger.list_open_holds(job)
        locked = await tx.ledger.lock_accounts([hold.account.id for hold in holds])
        return [replace(hold, account=locked[hold.account.id]) for hold in holds]

    async def _at_limit(self, tx: Transaction, account: Account, limit: int, now: datetime) -> Account:
        """An account whose limit was changed since: one adjust row, never below what is held or spent."""
        if account.scope == "granted" or account.granted == limit:
            return account
        delta = max(limit - account.granted, -account.available)
        if delta == 0:
            return account
        key = f"limit:{account.id}:{new_id()}"
        await tx.ledger.append(
            [Entry(account.id, EntryKind.ADJUST, delta, 0, key, "policy", now, reason="limit changed")]
        )
        return (await tx.ledger.lock_accounts([account.id]))[account.id]

    def _check_wallets(
        self, accounts: Sequence[Account], amount: int, drawn: int, limits: Limits, now: datetime
    ) -> None:
        if drawn == amount:
            return
        # Tomorrow helps only when a full day's allowance would do.
        extra = sum(account.available for account in accounts if account.scope == "granted")
        helps = amount <= limits.allowance + extra
        raise OutOfCredits(
            short_by=self._form.show_up(amount - drawn),
            refills=weekday_told(start_of_next_day(now), limits.time_zone) if helps else "",
            left=_left(accounts),
        )

    def _check_room(self, accounts: Sequence[Account], budgets: Iterable[Account], amount: int, limits: Limits) -> None:
        for budget in budgets:
            if budget.available < amount and budget.expires_at is not None:
                if budget.scope in _SHARED:
                    self._watch([budget], True)
                raise BudgetSpent(
                    whose=_WHOSE[budget.scope],
                    short_by=self._form.show_up(amount - budget.available),
                    refills=day_told(budget.expires_at, limits.time_zone) if amount <= budget.granted else "",
                    left=_left(accounts),
                )

    def _show(self, holds: Iterable[Hold], charged: int) -> None:
        """What budgets stand at once this transaction is committed."""
        shared = [hold.account for hold in holds if hold.account.scope in _SHARED]
        if shared and charged:
            self._watch([replace(account, balance=account.balance - charged) for account in shared], False)

    async def _count_overrun(self, tx: Transaction, holds: Sequence[Hold], over: int, now: datetime) -> None:
        """A run that cost more than was held is the owner's loss; the bot's budget counts it."""
        if over <= 0:
            return
        log.error("credits.overrun", extra={"job": holds[0].job, "micros": over})
        await self._count(tx, holds, over, "overrun", now)

    async def _count(self, tx: Transaction, holds: Sequence[Hold], micros: int, what: str, now: datetime) -> None:
        """Count against the bot's budget what no hold covers, all of it: it is spent, whether there is room or not.

        Its row leaves `granted` alone: an `adjust` would be taken for a changed limit, and put back by the next ask.
        Where there is no room, the budget is first made larger by what is missing; `_at_limit` takes that back when
        it can, and the count stays.
        """
        for hold in holds:
            if hold.account.scope != "bot" or micros <= 0:
                continue
            budget = (await tx.ledger.lock_accounts([hold.account.id]))[hold.account.id]
            key, missing = f"{what.replace(' ', '_')}:{hold.job}", micros - budget.available
            rows = [Entry(budget.id, EntryKind.EXPIRE, -micros, 0, key, "bot", now, hold.job, reason=what)]
            if missing > 0:
                rows.insert(
                    0,
                    Entry(budget.id, EntryKind.ADJUST, missing, 0, f"beyond:{key}", "bot", now, hold.job, reason=what),
                )
            await tx.ledger.append(rows)


def _draw(accounts: Sequence[Account], amount: int) -> list[tuple[Account, int]]:
    """What each wallet gives, in order, until the amount is met or they are empty."""
    drawn: list[tuple[Account, int]] = []
    missing = amount
    for wallet, most in _drawable(accounts):
        part = min(most, missing)
        if part > 0:
            drawn.append((wallet, part))
            missing -= part
    # A job that costs nothing holds nothing, but it holds: its rows tell that it was let in.
    return drawn or [(accounts[0], 0)]


def _drawable(accounts: Sequence[Account]) -> list[tuple[Account, int]]:
    """The wallets with what may be drawn from each: of the daily one no more than a small allowance has room for."""
    small = min((account.available for account in accounts if account.scope == "allowance"), default=None)
    return [
        (account, account.available if account.scope != "daily" or small is None else min(account.available, small))
        for account in accounts
        if account.kind is AccountKind.WALLET
    ]


def _of_allowance(accounts: Iterable[Account], drawn: Iterable[tuple[Account, int]]) -> list[tuple[Account, int]]:
    from_daily = sum(part for wallet, part in drawn if wallet.scope == "daily")
    return [(account, from_daily) for account in accounts if account.scope == "allowance"]


def _left(accounts: Sequence[Account]) -> int:
    """The most that a job may cost now, in micros."""
    budgets = [a.available for a in accounts if a.kind is AccountKind.BUDGET and a.scope != "allowance"]
    return min([sum(most for _, most in _drawable(accounts)), *budgets])


async def _open(tx: Transaction, account: Account, limit: int, user: User, now: datetime) -> None:
    """Open an account. A limit that was set after its window began counts what was spent before: by one expire row."""
    used = await used_before(tx, account, user)
    is_new = await tx.ledger.open_account(account, _first_grant(account, max(limit, used), now))
    if is_new and used:
        reason = "spent before there was a limit"
        key = f"before:{account.id}"
        await tx.ledger.append([Entry(account.id, EntryKind.EXPIRE, -used, 0, key, "policy", now, reason=reason)])


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
    # A small allowance holds what the daily wallet gave, which is drawn first, and so is settled first.
    return [_close(hold, EntryKind.SETTLE, min(hold.amount, charged), now) for hold in holds]


def _close(hold: Hold, kind: EntryKind, cost: int, now: datetime) -> Entry:
    return Entry(
        hold.account.id, kind, -cost, -hold.amount, f"close:{hold.job}:{hold.account.id}", "bot", now, hold.job
    )
