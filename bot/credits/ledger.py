"""Hold, settle and release money: decide the ledger rows of a job, which the database's triggers then check.

A job holds its maximum cost in one transaction: the hold draws on the wallets in order until the amount is met, and
each budget must cover the whole amount. Each hold is closed once, by the metered cost or by a release.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.errors import BudgetExceeded, InsufficientFunds, OutOfCredits
from bot.core.ids import new_id
from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold
from bot.core.people import BOT, POLICY, User
from bot.core.time_format import format_date, format_weekday
from bot.credits.accounts import (
    check_failed_runs,
    compute_limit_change_micros,
    get_next_day_start,
    get_user_failed_runs_account,
    list_accounts,
    list_failed_runs_accounts,
    read_prior_usage,
    record_failed_run,
)
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database, Transaction
from bot.storage.ledger_checks import Checkpoint, LedgerMismatch, LedgerReading
from bot.telemetry import metrics

log = logging.getLogger(__name__)

BudgetObserver = Callable[[Sequence[Account], bool], None]

_SHARED_SCOPES = frozenset({"workspace", "bot"})
"""Budgets with alerts. A user's own limit concerns the user alone, who reads the error."""

_BUDGET_NAMES = {"user": "Your budget", "workspace": "This workspace's budget", "bot": "The bot's monthly budget"}


class Ledger:
    """Moves money between accounts, in transactions of the caller.

    `observe` receives the shared budgets of each hold and close, and whether a budget refused the hold.
    """

    def __init__(self, formatter: CreditFormatter, observe: BudgetObserver = lambda budgets, was_refused: None) -> None:
        self._formatter = formatter
        self._observe = observe

    async def open_accounts(
        self, tx: Transaction, user: User, limits: UserLimits, now: datetime, *, counts_failed_runs: bool = False
    ) -> list[Account]:
        """Return the accounts of a request: opened if missing, locked, and adjusted to the current limits.

        With `counts_failed_runs`, raise `LimitReached` if the user's failed runs of today cost the daily bound.
        """
        # From here to the end of the transaction, requests of one user run one after another: each locks the daily
        # wallet. So two simultaneous requests cannot both pass a limit that has room for one.
        failed = get_user_failed_runs_account(user, now).id if counts_failed_runs else ""
        accounts, locked = await self._open(tx, list_accounts(user, now, limits), user, now, further_id=failed)
        if counts_failed_runs:
            check_failed_runs(locked.get(failed), limits, self._formatter, now)
        return accounts

    async def open_shared_budgets(
        self, tx: Transaction, user: User, limits: UserLimits, now: datetime
    ) -> dict[str, Account]:
        """Return the budgets of the user's workspace, if limited, and of the bot by scope, as `open_accounts` does."""
        wanted = [
            (a, limit_micros) for a, limit_micros in list_accounts(user, now, limits) if a.scope in _SHARED_SCOPES
        ]
        accounts, _ = await self._open(tx, wanted, user, now)
        return {account.scope: account for account in accounts}

    async def _open(
        self, tx: Transaction, wanted: Sequence[tuple[Account, int]], user: User, now: datetime, *, further_id: str = ""
    ) -> tuple[list[Account], dict[str, Account]]:
        """Return the wanted accounts, and all locked accounts by id: also one of `further_id`, if there is one."""
        ids = [*(account.id for account, _ in wanted), *([further_id] if further_id else [])]
        locked = await tx.ledger.lock_accounts(ids)
        missing = [(account, limit_micros) for account, limit_micros in wanted if account.id not in locked]
        for account, limit_micros in missing:
            await _open_account(tx, account, limit_micros, user, now)
        if missing:
            locked = await tx.ledger.lock_accounts(ids)
        accounts = [await _apply_limit(tx, locked[account.id], limit_micros, now) for account, limit_micros in wanted]
        return accounts, locked

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
        """Hold `amount_micros` for a job, on accounts from `open_accounts`.

        Raise `OutOfCredits` or `BudgetExceeded` before any row is written.
        """
        draws = _draw_on_wallets(accounts, amount_micros)
        budgets = _list_budgets(accounts)
        try:
            self._check_wallets(accounts, amount_micros, sum(part for _, part in draws), limits, now)
            self._check_budgets(accounts, budgets, amount_micros, limits)
        except InsufficientFunds:
            metrics.holds.labels(outcome="refused").inc()
            raise
        amounts = [
            *draws,
            *_list_allowance_holds(accounts, draws),
            *((budget, amount_micros) for budget in budgets),
        ]
        await tx.ledger.post(
            [
                Entry(account.id, EntryKind.HOLD, 0, micros, f"hold:{job}:{account.id}", user.actor, now, job)
                for account, micros in amounts
            ]
        )
        metrics.holds.labels(outcome="held").inc()

    async def settle(self, tx: Transaction, job: str, cost_micros: int, now: datetime) -> int:
        """Close a job's holds by the run's cost; return the user's charge in micros, at most the held amount."""
        holds = await _lock_holds(tx, job)
        if not holds:
            return 0
        wallets = [hold for hold in holds if hold.account.kind is AccountKind.WALLET]
        budgets = [hold for hold in holds if hold.account.kind is AccountKind.BUDGET]
        charge_micros = min(cost_micros, sum(hold.amount_micros for hold in wallets))
        await tx.ledger.post(
            [*_settle_wallets(wallets, charge_micros, now), *_settle_budgets(budgets, charge_micros, now)]
        )
        # The workspace gave room for the hold: an overrun of a delivered run is the owner's loss alone.
        bot_holds = [hold for hold in holds if hold.account.scope == "bot"]
        await self._record_overrun(tx, bot_holds, cost_micros - charge_micros, now)
        self._notify_observer(holds, charge_micros)
        metrics.holds.labels(outcome="settled").inc()
        return charge_micros

    async def release(self, tx: Transaction, job: str, user: User, real_cost_micros: int, now: datetime) -> None:
        """Give a job's holds back. The owner's real cost of the failed run still counts.

        The cost counts against the budgets of workspace and bot, and among the failed runs of `user`, the requester.
        """
        holds = await _lock_holds(tx, job, list_failed_runs_accounts(user, now))
        shared = [hold for hold in holds if hold.account.scope in _SHARED_SCOPES]
        charge_micros = min([real_cost_micros, *(hold.amount_micros for hold in shared)])
        settled = shared if charge_micros else []
        released = [hold for hold in holds if hold not in settled]
        await tx.ledger.post(
            [
                *(_close(hold, EntryKind.RELEASE, 0, now) for hold in released),
                *_settle_budgets(settled, charge_micros, now),
            ]
        )
        if holds:
            await self._record_overrun(tx, shared, real_cost_micros - charge_micros, now)
            await record_failed_run(tx, user, job, real_cost_micros, now)
            self._notify_observer(shared, charge_micros)
            metrics.holds.labels(outcome="released").inc()

    async def record_lost_run(
        self, tx: Transaction, job: str, user: User, prediction: str, cost_micros: int, now: datetime
    ) -> None:
        """Count the cost of a failed run, as `release` does, while the job's holds stay for the second run."""
        holds = await _lock_holds(tx, job, list_failed_runs_accounts(user, now))
        shared = [hold for hold in holds if hold.account.scope in _SHARED_SCOPES]
        await _record_uncovered_cost(tx, shared, cost_micros, "lost run", now, prediction=prediction)
        await record_failed_run(tx, user, job, cost_micros, now, prediction=prediction)

    def _check_wallets(
        self, accounts: Sequence[Account], amount_micros: int, drawn_micros: int, limits: UserLimits, now: datetime
    ) -> None:
        if drawn_micros == amount_micros:
            return
        # Name tomorrow's refill only if a full day's allowance, with the granted wallet, would cover the job.
        granted_micros = sum(account.available_micros for account in accounts if account.scope == "granted")
        does_refill_help = amount_micros <= limits.allowance_micros + granted_micros
        raise OutOfCredits(
            missing=self._formatter.format_rounded_up(amount_micros - drawn_micros),
            refill_time=format_weekday(get_next_day_start(now), limits.time_zone) if does_refill_help else "",
            available_micros=_compute_available_micros(accounts),
        )

    def _check_budgets(
        self, accounts: Sequence[Account], budgets: Iterable[Account], amount_micros: int, limits: UserLimits
    ) -> None:
        for budget in budgets:
            if budget.available_micros < amount_micros and budget.expires_at is not None:
                if budget.scope in _SHARED_SCOPES:
                    self._observe([budget], True)
                does_refill_help = amount_micros <= budget.granted_micros
                raise BudgetExceeded(
                    budget_name=_BUDGET_NAMES[budget.scope],
                    missing=self._formatter.format_rounded_up(amount_micros - budget.available_micros),
                    refill_time=format_date(budget.expires_at, limits.time_zone) if does_refill_help else "",
                    available_micros=_compute_available_micros(accounts),
                )

    def _notify_observer(self, holds: Iterable[Hold], charge_micros: int) -> None:
        """Report the shared budgets as they will be after the commit of this transaction."""
        shared = [hold.account for hold in holds if hold.account.scope in _SHARED_SCOPES]
        if shared and charge_micros:
            self._observe(
                [replace(account, balance_micros=account.balance_micros - charge_micros) for account in shared], False
            )

    async def _record_overrun(self, tx: Transaction, holds: Sequence[Hold], over_micros: int, now: datetime) -> None:
        # The owner pays for a run above its maximum: the user agreed to the held amount and no more.
        if over_micros <= 0:
            return
        log.error("credits.overrun", extra={"job": holds[0].job, "micros": over_micros})
        await _record_uncovered_cost(tx, holds, over_micros, "overrun", now)


async def _open_account(tx: Transaction, account: Account, limit_micros: int, user: User, now: datetime) -> None:
    """Open an account. For a limit that was set during its window, one `expire` row counts the earlier spending."""
    used_micros = await read_prior_usage(tx, account, user)
    # The grant covers the earlier spending: no row may take an account below zero.
    grant = _build_first_grant(account, max(limit_micros, used_micros), now)
    is_new = await tx.ledger.open_account(account, grant)
    if is_new and used_micros:
        reason = "spent before there was a limit"
        key = f"before:{account.id}"
        await tx.ledger.append([Entry(account.id, EntryKind.EXPIRE, -used_micros, 0, key, POLICY, now, reason=reason)])


def _build_first_grant(account: Account, amount_micros: int, now: datetime) -> Entry:
    # The key of a daily grant has no workspace, as its wallet: once per platform, user and day.
    of_day = f"daily:{account.platform}:{account.user}:{account.window}"
    key = of_day if account.scope == "daily" else f"open:{account.id}"
    return Entry(account.id, EntryKind.GRANT, amount_micros, 0, key, POLICY, now)


async def _apply_limit(tx: Transaction, account: Account, limit_micros: int, now: datetime) -> Account:
    """Return the account with a limit that changed since the last request, by one `adjust` row."""
    if account.scope == "granted" or account.granted_micros == limit_micros:
        return account
    change_micros = compute_limit_change_micros(account, limit_micros)
    if change_micros == 0:
        return account
    key = f"limit:{account.id}:{new_id()}"
    await tx.ledger.append(
        [Entry(account.id, EntryKind.ADJUST, change_micros, 0, key, POLICY, now, reason="limit changed")]
    )
    return (await tx.ledger.lock_accounts([account.id]))[account.id]


def _list_budgets(accounts: Iterable[Account]) -> list[Account]:
    """Return the budgets that must cover a whole job. The allowance budget bounds the daily wallet's share only."""
    return [account for account in accounts if account.kind is AccountKind.BUDGET and account.scope != "allowance"]


def _draw_on_wallets(accounts: Sequence[Account], amount_micros: int) -> list[tuple[Account, int]]:
    """Return the part of each wallet, in order, until the amount is met or the wallets are empty."""
    draws: list[tuple[Account, int]] = []
    missing_micros = amount_micros
    for wallet, available_micros in _list_drawable(accounts):
        part_micros = min(available_micros, missing_micros)
        if part_micros > 0:
            draws.append((wallet, part_micros))
            missing_micros -= part_micros
    # A free job holds zero micros: every open job has a hold, which its close and the verification rely on.
    return draws or [(accounts[0], 0)]


def _list_drawable(accounts: Sequence[Account]) -> list[tuple[Account, int]]:
    """Return the wallets with their drawable micros; an allowance budget bounds the daily wallet."""
    allowances = [account.available_micros for account in accounts if account.scope == "allowance"]
    return [
        (account, min([account.available_micros, *(allowances if account.scope == "daily" else [])]))
        for account in accounts
        if account.kind is AccountKind.WALLET
    ]


def _list_allowance_holds(
    accounts: Iterable[Account], draws: Iterable[tuple[Account, int]]
) -> list[tuple[Account, int]]:
    from_daily_micros = sum(part for wallet, part in draws if wallet.scope == "daily")
    return [(account, from_daily_micros) for account in accounts if account.scope == "allowance"]


def _compute_available_micros(accounts: Sequence[Account]) -> int:
    """Return the maximum cost of a job that the accounts allow now."""
    budgets = [budget.available_micros for budget in _list_budgets(accounts)]
    return min([sum(micros for _, micros in _list_drawable(accounts)), *budgets])


async def _lock_holds(tx: Transaction, job: str, others: Collection[Account] = ()) -> list[Hold]:
    """Return a job's open holds with their accounts locked and read again; lock the `others` too."""
    # Lock in id order, as `open_accounts` does: two transactions that lock in different orders would deadlock.
    if not others:
        return await tx.ledger.lock_open_holds(job)
    holds = await tx.ledger.list_open_holds(job)
    locked = await tx.ledger.lock_accounts([account.id for account in (*(hold.account for hold in holds), *others)])
    return [replace(hold, account=locked[hold.account.id]) for hold in holds]


def _settle_wallets(holds: Iterable[Hold], charge_micros: int, now: datetime) -> list[Entry]:
    entries = []
    for hold in holds:
        part_micros = min(hold.amount_micros, charge_micros)
        entries.append(_close(hold, EntryKind.SETTLE, part_micros, now))
        charge_micros -= part_micros
    return entries


def _settle_budgets(holds: Iterable[Hold], charge_micros: int, now: datetime) -> list[Entry]:
    # An allowance budget holds the daily wallet's part. The daily wallet is settled first, so the budget gets the
    # charge up to that part.
    return [_close(hold, EntryKind.SETTLE, min(hold.amount_micros, charge_micros), now) for hold in holds]


def _close(hold: Hold, kind: EntryKind, cost_micros: int, now: datetime) -> Entry:
    key = f"close:{hold.job}:{hold.account.id}"
    return Entry(hold.account.id, kind, -cost_micros, -hold.amount_micros, key, BOT, now, hold.job)


async def _record_uncovered_cost(
    tx: Transaction, holds: Sequence[Hold], cost_micros: int, reason: str, now: datetime, *, prediction: str = ""
) -> None:
    """Count a cost beyond a job's holds against their budgets, with room or without: the money is spent."""
    if cost_micros <= 0:
        return
    for hold in holds:
        budget = (await tx.ledger.lock_accounts([hold.account.id]))[hold.account.id]
        key, missing_micros = (
            f"{reason.replace(' ', '_')}:{prediction or hold.job}:{budget.id}",
            cost_micros - budget.available_micros,
        )
        # An `expire` row leaves `granted_micros` alone. The next request would take a negative `adjust` for a changed
        # limit and pay the amount back.
        row = Entry(budget.id, EntryKind.EXPIRE, -cost_micros, 0, key, BOT, now, hold.job, prediction, reason)
        rows = [row]
        if missing_micros > 0:
            # Raise the budget first, as no account may fall below zero. `_apply_limit` lowers the limit again when
            # there is room; the spending stays counted.
            rows.insert(
                0, replace(row, kind=EntryKind.ADJUST, balance_delta_micros=missing_micros, key=f"beyond:{key}")
            )
        await tx.ledger.append(rows)


MAX_DISCREPANCIES = 50
"""Of each kind, for `quota verify`: more mismatches of one kind usually have one cause."""


_WRITERS_WAIT_SECONDS, _WRITERS_WAITS = 0.05, 100


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The rows that were compared, the older rows that were not, and one line for each discrepancy."""

    compared: str
    older: str
    """Empty if all rows were read."""
    discrepancies: tuple[str, ...]


async def verify_ledger(
    database: Database,
    now: datetime,
    report_check: Callable[[str], None] = lambda _: None,
    *,
    is_complete: bool = False,
) -> VerificationReport:
    """Compare ledger, accounts, jobs and predictions in one read transaction.

    Only the rows after the last verification without a discrepancy are read, unless there was none or `is_complete`.
    Where every row is read, `report_check` is called before each check, for a person who waits.
    """
    last_entry, is_settled = await _find_settled_entry(database)
    async with database.read() as tx:
        previous = await tx.checkpoints.get()
        reading = None
        if previous and not is_complete:
            reading = await tx.ledger_checks.read_new(previous, last_entry, now, MAX_DISCREPANCIES)
        report = _report_new(previous, reading) if previous and reading else None
        if reading is None:
            reading = await tx.ledger_checks.read_all(last_entry, now, MAX_DISCREPANCIES, report_check)
    async with database.write() as tx:
        if not reading.mismatches and is_settled:
            await tx.checkpoints.replace(previous, reading.checkpoint)
        elif reading.mismatches and report is None:
            # A row up to the checkpoint may be wrong: every row is read again until all agree.
            await tx.checkpoints.delete()
    return report or _report_all(reading)


async def _find_settled_entry(database: Database) -> tuple[int, bool]:
    """Return the newest ledger row, and whether no older row can still come.

    PostgreSQL gives ids to rows before the commit: a row with a smaller id may become visible later. So every
    transaction that writes to the ledger now must have ended before the rows are read.
    """
    async with database.read() as tx:
        last_entry = await tx.ledger_checks.read_last_entry()
    writers = await database.list_writers("ledger")
    for _ in range(_WRITERS_WAITS):
        if not writers:
            break
        await asyncio.sleep(_WRITERS_WAIT_SECONDS)
        writers &= await database.list_writers("ledger")
    return last_entry, not writers


def _report_all(reading: LedgerReading) -> VerificationReport:
    compared = _format_counts(reading.counts)
    return VerificationReport(compared, "", tuple(map(_format_discrepancy, reading.mismatches)))


def _report_new(previous: Checkpoint, reading: LedgerReading) -> VerificationReport:
    compared = f"New since {_format_time(previous.checked_at)}: {_format_counts(reading.counts)}"
    older = (
        f"The older {previous.row_count:,} rows agreed before and were not read again. "
        f"All rows were last read on {_format_time(previous.completed_at)}."
    )
    return VerificationReport(compared, older, tuple(map(_format_discrepancy, reading.mismatches)))


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} rows of {table}" for table, count in counts.items())


def _format_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _format_discrepancy(row: LedgerMismatch) -> str:
    return f"{row.check} {row.row}: {row.found:,}, and should be {row.expected:,}"
