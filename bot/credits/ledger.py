"""Holding, settling and releasing money. The database refuses what must not be; this decides what should be.

A job holds on every account involved in one transaction: wallets are drawn in order until the amount is met, budgets
must all have room for all of it. Each hold is closed once, by what was metered or by a release.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.errors import BudgetExceeded, InsufficientFunds, OutOfCredits
from bot.core.ids import new_id
from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold
from bot.core.people import User
from bot.core.time_format import format_date, format_weekday
from bot.credits.accounts import get_next_day_start, list_accounts
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import read_prior_usage
from bot.storage.database import Transaction
from bot.telemetry import metrics

log = logging.getLogger(__name__)

BudgetObserver = Callable[[Sequence[Account], bool], None]

_SHARED_SCOPES = frozenset({"workspace", "bot"})
"""Budgets that are told of when they run out: a person's own limit is theirs alone to hear of."""

_BUDGET_NAMES = {"user": "Your budget", "workspace": "This workspace's budget", "bot": "The bot's monthly budget"}


class Ledger:
    """Moves money between accounts, in transactions that the caller opens.

    `watch` is shown the shared budgets of each hold and close as they are then, and whether one had no room.
    """

    def __init__(self, formatter: CreditFormatter, observe: BudgetObserver = lambda budgets, was_refused: None) -> None:
        self._formatter = formatter
        self._observe = observe

    async def open_accounts(self, tx: Transaction, user: User, limits: UserLimits, now: datetime) -> list[Account]:
        """The accounts of an ask, opened where this is the first, locked, and brought to today's limits.

        Asks of one person are in line from here to the end of their transactions: the first wallet is in all of them.
        """
        wanted = list_accounts(user, now, limits)
        locked = await tx.ledger.lock_accounts([account.id for account, _ in wanted])
        missing = [(account, first) for account, first in wanted if account.id not in locked]
        for account, first in missing:
            await _open(tx, account, first, user, now)
        if missing:
            locked = await tx.ledger.lock_accounts([account.id for account, _ in wanted])
        return [await self._apply_limit(tx, locked[account.id], limit, now) for account, limit in wanted]

    async def hold_on_accounts(
        self,
        tx: Transaction,
        accounts: Sequence[Account],
        job: str,
        user: User,
        amount_micros: int,
        limits: UserLimits,
        now: datetime,
    ) -> None:
        """Set `amount_micros` aside for a job, on accounts that `open_accounts` returned.

        Raises `OutOfCredits` or `BudgetSpent`, and then nothing is held.
        """
        drawn = _draw(accounts, amount_micros)
        budgets = [
            account for account in accounts if account.kind is AccountKind.BUDGET and account.scope != "allowance"
        ]
        try:
            self._check_wallets(accounts, amount_micros, sum(part for _, part in drawn), limits, now)
            self._check_room(accounts, budgets, amount_micros, limits)
        except InsufficientFunds:
            metrics.holds.labels(outcome="refused").inc()
            raise
        by = user.actor
        await tx.ledger.append(
            [
                Entry(account.id, EntryKind.HOLD, 0, held, f"hold:{job}:{account.id}", by, now, job)
                for account, held in [
                    *drawn,
                    *_list_allowance_holds(accounts, drawn),
                    *((budget, amount_micros) for budget in budgets),
                ]
            ]
        )
        metrics.holds.labels(outcome="held").inc()

    async def settle(self, tx: Transaction, job: str, cost_micros: int, now: datetime) -> int:
        """Close a job's holds by what it cost, in micros; gives what the person pays, at most what was held."""
        holds = await self._lock_holds(tx, job)
        if not holds:
            return 0
        charged = min(cost_micros, sum(hold.amount_micros for hold in _select_wallets(holds)))
        await tx.ledger.append(
            [
                *_settle_wallets(_select_wallets(holds), charged, now),
                *_settle_budgets(_select_budgets(holds), charged, now),
            ]
        )
        await self._record_overrun(tx, holds, cost_micros - charged, now)
        self._notify_observer(holds, charged)
        metrics.holds.labels(outcome="settled").inc()
        return charged

    async def release(self, tx: Transaction, job: str, real_cost_micros: int, now: datetime) -> None:
        """Give a job's holds back; what it really cost the owner still counts against the bot's budget."""
        holds = await self._lock_holds(tx, job)
        bot = [hold for hold in holds if hold.account.scope == "bot"]
        charged = min([real_cost_micros, *(hold.amount_micros for hold in bot)])
        released = holds if charged == 0 else [hold for hold in holds if hold.account.scope != "bot"]
        settled = [] if charged == 0 else _settle_budgets(bot, charged, now)
        await tx.ledger.append([*(_close(hold, EntryKind.RELEASE, 0, now) for hold in released), *settled])
        if holds:
            await self._record_overrun(tx, holds, real_cost_micros - charged, now)
            self._notify_observer(bot, charged)
            metrics.holds.labels(outcome="released").inc()

    async def record_lost_run(
        self, tx: Transaction, job: str, prediction: str, cost_micros: int, now: datetime
    ) -> None:
        """A run that failed and is followed by another costs the owner, not the person, whose hold stays as it is."""
        holds = await tx.ledger.list_open_holds(job)
        await self._record_uncovered_cost(tx, holds, cost_micros, "lost run", now, prediction=prediction)

    async def _lock_holds(self, tx: Transaction, job: str) -> list[Hold]:
        """A job's open holds, their accounts locked in id order as `hold` does: else the two wait for each other."""
        holds = await tx.ledger.list_open_holds(job)
        locked = await tx.ledger.lock_accounts([hold.account.id for hold in holds])
        return [replace(hold, account=locked[hold.account.id]) for hold in holds]

    async def _apply_limit(self, tx: Transaction, account: Account, limit: int, now: datetime) -> Account:
        """An account whose limit was changed since: one adjust row, never below what is held or spent."""
        if account.scope == "granted" or account.granted_micros == limit:
            return account
        delta = max(limit - account.granted_micros, -account.available_micros)
        if delta == 0:
            return account
        key = f"limit:{account.id}:{new_id()}"
        await tx.ledger.append(
            [Entry(account.id, EntryKind.ADJUST, delta, 0, key, "policy", now, reason="limit changed")]
        )
        return (await tx.ledger.lock_accounts([account.id]))[account.id]

    def _check_wallets(
        self, accounts: Sequence[Account], amount: int, drawn: int, limits: UserLimits, now: datetime
    ) -> None:
        if drawn == amount:
            return
        # Tomorrow helps only when a full day's allowance would do.
        extra = sum(account.available_micros for account in accounts if account.scope == "granted")
        helps = amount <= limits.allowance_micros + extra
        raise OutOfCredits(
            missing_credits=self._formatter.format_rounded_up(amount - drawn),
            refill_time=format_weekday(get_next_day_start(now), limits.time_zone) if helps else "",
            available_micros=_available_micros(accounts),
        )

    def _check_room(
        self, accounts: Sequence[Account], budgets: Iterable[Account], amount: int, limits: UserLimits
    ) -> None:
        for budget in budgets:
            if budget.available_micros < amount and budget.expires_at is not None:
                if budget.scope in _SHARED_SCOPES:
                    self._observe([budget], True)
                raise BudgetExceeded(
                    budget_name=_BUDGET_NAMES[budget.scope],
                    missing_credits=self._formatter.format_rounded_up(amount - budget.available_micros),
                    refill_time=format_date(budget.expires_at, limits.time_zone)
                    if amount <= budget.granted_micros
                    else "",
                    available_micros=_available_micros(accounts),
                )

    def _notify_observer(self, holds: Iterable[Hold], charged: int) -> None:
        """What budgets stand at once this transaction is committed."""
        shared = [hold.account for hold in holds if hold.account.scope in _SHARED_SCOPES]
        if shared and charged:
            self._observe(
                [replace(account, balance_micros=account.balance_micros - charged) for account in shared], False
            )

    async def _record_overrun(self, tx: Transaction, holds: Sequence[Hold], over: int, now: datetime) -> None:
        """A run that cost more than was held is the owner's loss; the bot's budget counts it."""
        if over <= 0:
            return
        log.error("credits.overrun", extra={"job": holds[0].job, "micros": over})
        await self._record_uncovered_cost(tx, holds, over, "overrun", now)

    async def _record_uncovered_cost(
        self,
        tx: Transaction,
        holds: Sequence[Hold],
        micros: int,
        reason: str,
        now: datetime,
        *,
        prediction: str = "",
    ) -> None:
        """Count against the bot's budget what no hold covers, all of it: it is spent, whether there is room or not.

        Its row leaves `granted` alone: an `adjust` would be taken for a changed limit, and put back by the next ask.
        Where there is no room, the budget is first made larger by what is missing; `_at_limit` takes that back when
        it can, and the count stays.
        """
        for hold in holds:
            if hold.account.scope != "bot" or micros <= 0:
                continue
            budget = (await tx.ledger.lock_accounts([hold.account.id]))[hold.account.id]
            key, missing = f"{reason.replace(' ', '_')}:{prediction or hold.job}", micros - budget.available_micros
            row = Entry(budget.id, EntryKind.EXPIRE, -micros, 0, key, "bot", now, hold.job, prediction, reason)
            rows = [row]
            if missing > 0:
                rows.insert(0, replace(row, kind=EntryKind.ADJUST, balance_delta_micros=missing, key=f"beyond:{key}"))
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
    small = min((account.available_micros for account in accounts if account.scope == "allowance"), default=None)
    return [
        (
            account,
            account.available_micros
            if account.scope != "daily" or small is None
            else min(account.available_micros, small),
        )
        for account in accounts
        if account.kind is AccountKind.WALLET
    ]


def _list_allowance_holds(
    accounts: Iterable[Account], drawn: Iterable[tuple[Account, int]]
) -> list[tuple[Account, int]]:
    from_daily = sum(part for wallet, part in drawn if wallet.scope == "daily")
    return [(account, from_daily) for account in accounts if account.scope == "allowance"]


def _available_micros(accounts: Sequence[Account]) -> int:
    """The most that a job may cost now, in micros."""
    budgets = [a.available_micros for a in accounts if a.kind is AccountKind.BUDGET and a.scope != "allowance"]
    return min([sum(most for _, most in _drawable(accounts)), *budgets])


async def _open(tx: Transaction, account: Account, limit: int, user: User, now: datetime) -> None:
    """Open an account. A limit that was set after its window began counts what was spent before: by one expire row."""
    used = await read_prior_usage(tx, account, user)
    is_new = await tx.ledger.open_account(account, _first_grant(account, max(limit, used), now))
    if is_new and used:
        reason = "spent before there was a limit"
        key = f"before:{account.id}"
        await tx.ledger.append([Entry(account.id, EntryKind.EXPIRE, -used, 0, key, "policy", now, reason=reason)])


def _first_grant(account: Account, amount: int, now: datetime) -> Entry:
    # `daily:<platform>:<user>:<date>` is once per person and day, whatever the workspace.
    key = account.id.removeprefix("wallet:") if account.scope == "daily" else f"open:{account.id}"
    return Entry(account.id, EntryKind.GRANT, amount, 0, key, "policy", now)


def _select_wallets(holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.account.kind is AccountKind.WALLET]


def _select_budgets(holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.account.kind is AccountKind.BUDGET]


def _settle_wallets(holds: Iterable[Hold], charged: int, now: datetime) -> list[Entry]:
    entries = []
    for hold in holds:
        part = min(hold.amount_micros, charged)
        entries.append(_close(hold, EntryKind.SETTLE, part, now))
        charged -= part
    return entries


def _settle_budgets(holds: Iterable[Hold], charged: int, now: datetime) -> list[Entry]:
    # A small allowance holds what the daily wallet gave, which is drawn first, and so is settled first.
    return [_close(hold, EntryKind.SETTLE, min(hold.amount_micros, charged), now) for hold in holds]


def _close(hold: Hold, kind: EntryKind, cost: int, now: datetime) -> Entry:
    return Entry(
        hold.account.id, kind, -cost, -hold.amount_micros, f"close:{hold.job}:{hold.account.id}", "bot", now, hold.job
    )
