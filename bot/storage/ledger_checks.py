"""Compares ledger, accounts, jobs and predictions with one another: all rows, or the rows after a checkpoint.

A checkpoint is the ledger row up to which all checks have passed, with the amounts of accounts at the row. The ledger
only grows, so a later reading needs the rows after the checkpoint, with the jobs, runs and accounts that these name.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.money import AccountKind, EntryKind
from bot.storage.connection import Statements
from bot.storage.tables.jobs import IS_OPEN, jobs, predictions
from bot.storage.tables.ledger import accounts, checkpoint_accounts, ledger, ledger_checkpoint

Amounts: TypeAlias = "tuple[int, int, int]"
"""The balance, what is held, and what was granted, in micros."""

_NOTHING: Amounts = (0, 0, 0)

_GRACE = timedelta(days=1)
"""Jobs that run at midnight or at the end of a month close holds on accounts that have just expired."""

_PORTION = 500
"""Ids in a statement. PostgreSQL reads a whole table of some 100,000 rows for many more."""

_MAX_VALUES = 30_000
"""Ids in a statement that both engines take at most, about."""

_MICROS = sa.BigInteger()


def _sum(*of: Any) -> Any:
    """Give a sum of micros, zero over no rows, as BIGINT: PostgreSQL sums BIGINT as NUMERIC."""
    return sa.cast(sa.func.coalesce(sa.func.sum(*of), 0), _MICROS)


def _or_zero(column: Any) -> Any:
    return sa.func.coalesce(column, 0)


def _select_mismatch(row: Any, found: Any, expected: Any) -> sa.Select[Any]:
    return sa.select(row.label("row"), found.label("found"), expected.label("expected"))


# Check: an account's amounts are the sums of the account's ledger rows.

_is_granting = ledger.c.kind.in_([EntryKind.GRANT.value, EntryKind.ADJUST.value])
_SUMS = (
    _sum(ledger.c.balance_delta_micros).label("balance_micros"),
    _sum(ledger.c.held_delta_micros).label("held_micros"),
    _sum(sa.case((_is_granting, ledger.c.balance_delta_micros), else_=0)).label("granted_micros"),
)
_account_sums = sa.select(ledger.c.account, *_SUMS).group_by(ledger.c.account).subquery()


# One statement for the three amounts: summing the whole ledger is the dearest part of `quota verify`.
_AMOUNTS = {
    "balance_micros": "the balance of account",
    "held_micros": "what is held on account",
    "granted_micros": "what was granted to account",
}
"""The name of the check of each amount."""
_UNKNOWN_ACCOUNT = "rows of an unknown account"
_LOST_CHECKPOINT = "the ledger's row of the last check"

_is_live = sa.or_(accounts.c.expires_at.is_(None), accounts.c.expires_at > bindparam("since"))
_WRONG_OR_LIVE_ACCOUNTS = (
    sa.select(
        accounts.c.id,
        *(accounts.c[column] for column in _AMOUNTS),
        *(_or_zero(_account_sums.c[column]).label(f"expected_{column}") for column in _AMOUNTS),
        _is_live.label("is_live"),
    )
    .select_from(sa.outerjoin(accounts, _account_sums, _account_sums.c.account == accounts.c.id))
    .where(sa.or_(*(accounts.c[column] != _or_zero(_account_sums.c[column]) for column in _AMOUNTS), _is_live))
    .order_by(accounts.c.id)
)

_ids: sa.BindParameter[Any] = bindparam("ids", expanding=True)
_SELECT_ACCOUNTS = sa.select(
    accounts.c.id, *(accounts.c[column] for column in _AMOUNTS), _is_live.label("is_live")
).where(accounts.c.id.in_(_ids))
_SUM_HISTORIES = sa.select(ledger.c.account, *_SUMS).where(ledger.c.account.in_(_ids)).group_by(ledger.c.account)

# Two bounds: without statistics, PostgreSQL expects a third of a table behind one.
_is_new = sa.and_(ledger.c.id > bindparam("after_entry"), ledger.c.id <= bindparam("until_entry"))
_SUM_NEW = sa.select(ledger.c.account, sa.func.count().label("rows"), *_SUMS).where(_is_new).group_by(ledger.c.account)
_SELECT_NEW_JOBS = sa.select(ledger.c.job, ledger.c.prediction).distinct().where(_is_new, ledger.c.job != "")
_SELECT_LAST_ENTRY = sa.select(sa.func.max(ledger.c.id))
_SELECT_ENTRY = sa.select(ledger.c.id).where(ledger.c.id == bindparam("entry"))
_SELECT_OPEN_JOBS = sa.select(jobs.c.id).where(sa.text(f"jobs.{IS_OPEN}"))
_SELECT_ENDED_RUNS = (
    sa.select(jobs.c.prediction)
    .distinct()
    .where(jobs.c.id.in_(_ids), jobs.c.prediction.is_not(None), sa.text(f"NOT jobs.{IS_OPEN}"))
)
_predictions: sa.BindParameter[Any] = bindparam("predictions", expanding=True)
_SELECT_JOBS_OF_RUNS = sa.select(jobs.c.id).where(jobs.c.prediction.in_(_predictions)).limit(_MAX_VALUES)

# Each check exists twice: for all rows, and for the jobs and runs that new rows name.

_is_hold = ledger.c.kind == EntryKind.HOLD.value
_is_close = ledger.c.kind.in_([EntryKind.SETTLE.value, EntryKind.RELEASE.value])
_is_settle = ledger.c.kind == EntryKind.SETTLE.value


@dataclass(frozen=True, slots=True)
class _Rows:
    """The conditions of the rows that a check reads: on a job's id, on a prediction's id, on a ledger row's account."""

    is_job: Callable[[Any], Any]
    is_prediction: Callable[[Any], Any]
    has_account: Callable[..., Any]


_of_account = accounts.c.id == ledger.c.account
_ALL = _Rows(
    lambda job: sa.true(),
    lambda prediction: sa.true(),
    lambda *conditions: sa.exists().where(_of_account, *conditions),
)
# A subquery with a value is a look at one account for each row. PostgreSQL would read all accounts to join a few.
_NEW = _Rows(
    lambda job: job.in_(_ids),
    lambda prediction: prediction.in_(_predictions),
    lambda *conditions: sa.select(accounts.c.id).where(_of_account, *conditions).scalar_subquery().is_not(None),
)
_job_and_account = ledger.c.job.concat(" ").concat(ledger.c.account)
_counted = -ledger.c.balance_delta_micros


def _build_hold_checks(rows: _Rows) -> dict[str, sa.Select[Any]]:
    """Check that an open job has open holds, and a closed job has a close for each hold."""
    by_job = (
        sa.select(
            ledger.c.job,
            _sum(sa.case((_is_hold, 1), else_=0)).label("holds"),
            _sum(sa.case((_is_close, 1), else_=0)).label("closes"),
        )
        .where(ledger.c.job != "", sa.or_(_is_hold, _is_close), rows.is_job(ledger.c.job))
        .group_by(ledger.c.job)
        .subquery()
    )
    is_open_job = sa.exists().where(jobs.c.id == by_job.c.job, sa.text(f"jobs.{IS_OPEN}"))
    return {
        "closes of holds of job": _select_mismatch(by_job.c.job, by_job.c.closes, by_job.c.holds).where(
            by_job.c.holds != by_job.c.closes, ~is_open_job
        ),
        "open holds of open job": _select_mismatch(jobs.c.id, _or_zero(by_job.c.holds - by_job.c.closes), sa.literal(1))
        .select_from(sa.outerjoin(jobs, by_job, by_job.c.job == jobs.c.id))
        .where(sa.text(f"jobs.{IS_OPEN}"), rows.is_job(jobs.c.id), sa.or_(by_job.c.job.is_(None), by_job.c.closes > 0)),
    }


def _build_cost_checks(rows: _Rows) -> dict[str, sa.Select[Any]]:
    """Check that wallets paid the job's cost, that users' budgets counted as much, and the workspace's as the bot's."""
    paid = (
        sa.select(ledger.c.job, _sum(_counted).label("micros"))
        .where(_is_settle, rows.is_job(ledger.c.job), rows.has_account(accounts.c.kind == AccountKind.WALLET.value))
        .group_by(ledger.c.job)
        .subquery()
    )
    # The close of a failed run settles both shared budgets by the owner's cost.
    by_bot = (
        sa.select(ledger.c.job, _counted.label("micros"))
        .where(_is_settle, rows.is_job(ledger.c.job), rows.has_account(accounts.c.scope == "bot"))
        .subquery()
    )
    is_of_user = sa.and_(
        _is_settle,
        rows.is_job(ledger.c.job),
        rows.has_account(accounts.c.scope == "user", accounts.c.kind == AccountKind.BUDGET.value),
    )
    return {
        "what was paid for job": _select_mismatch(jobs.c.id, _or_zero(paid.c.micros), _or_zero(jobs.c.cost_micros))
        .select_from(sa.outerjoin(jobs, paid, paid.c.job == jobs.c.id))
        .where(
            sa.text(f"NOT jobs.{IS_OPEN}"),
            rows.is_job(jobs.c.id),
            _or_zero(paid.c.micros) != _or_zero(jobs.c.cost_micros),
        ),
        "what a budget counted for job": _select_mismatch(_job_and_account, _counted, jobs.c.cost_micros)
        .join_from(ledger, jobs, jobs.c.id == ledger.c.job)
        .where(is_of_user, _counted != jobs.c.cost_micros),
        "what the workspace's budget counted for job": _select_mismatch(
            _job_and_account, _counted, _or_zero(by_bot.c.micros)
        )
        .select_from(sa.outerjoin(ledger, by_bot, by_bot.c.job == ledger.c.job))
        .where(
            _is_settle,
            rows.is_job(ledger.c.job),
            rows.has_account(accounts.c.scope == "workspace"),
            _counted != _or_zero(by_bot.c.micros),
        ),
    }


def _build_run_checks(rows: _Rows) -> dict[str, sa.Select[Any]]:
    """Check that the bot's budget counted the backend's real cost of every run: of jobs, failed, and abandoned."""
    # An ADJUST only makes room in the budget; the EXPIRE beside it is the count.
    is_counting = sa.and_(ledger.c.kind != EntryKind.ADJUST.value, ledger.c.job != "", rows.is_job(ledger.c.job))
    by_bot = (
        sa.select(ledger.c.job, ledger.c.prediction, ledger.c.balance_delta_micros)
        .where(is_counting, rows.has_account(accounts.c.scope == "bot"))
        .subquery()
    )
    micros = (-_sum(by_bot.c.balance_delta_micros)).label("micros")
    by_job = sa.select(by_bot.c.job, micros).where(by_bot.c.prediction == "").group_by(by_bot.c.job).subquery()
    # Jobs that reuse a result share its prediction: their counts are added up.
    by_run = (
        sa.select(
            jobs.c.prediction,
            _sum(_or_zero(by_job.c.micros)).label("micros"),
            _sum(sa.case((sa.text(f"jobs.{IS_OPEN}"), 1), else_=0)).label("open_jobs"),
        )
        .select_from(sa.outerjoin(jobs, by_job, by_job.c.job == jobs.c.id))
        .where(jobs.c.prediction.is_not(None), rows.is_prediction(jobs.c.prediction))
        .group_by(jobs.c.prediction)
        .subquery()
    )
    by_lost_run = (
        sa.select(by_bot.c.prediction, micros).where(by_bot.c.prediction != "").group_by(by_bot.c.prediction).subquery()
    )
    any_job = sa.select(jobs.c.id).where(jobs.c.prediction == predictions.c.id).limit(1).scalar_subquery()
    cost = _or_zero(predictions.c.cost_micros)
    return {
        "what failed runs cost for job": _build_failed_runs_check(by_bot, rows),
        "what the bot's budget counted for prediction": _select_mismatch(predictions.c.id, by_run.c.micros, cost)
        .join_from(predictions, by_run, by_run.c.prediction == predictions.c.id)
        .where(rows.is_prediction(predictions.c.id), by_run.c.open_jobs == 0, by_run.c.micros != cost),
        "what the bot's budget counted for lost prediction": _select_mismatch(
            predictions.c.id, _or_zero(by_lost_run.c.micros), cost
        )
        .select_from(sa.outerjoin(predictions, by_lost_run, by_lost_run.c.prediction == predictions.c.id))
        .where(rows.is_prediction(predictions.c.id), any_job.is_(None), _or_zero(by_lost_run.c.micros) != cost),
    }


def _build_failed_runs_check(by_bot: sa.Subquery, rows: _Rows) -> sa.Select[Any]:
    """Check that the counts of failed runs are the amounts that the bot's budget counted for the same job and run."""
    counted = (
        sa.select(by_bot.c.job, by_bot.c.prediction, (-_sum(by_bot.c.balance_delta_micros)).label("micros"))
        .group_by(by_bot.c.job, by_bot.c.prediction)
        .subquery()
    )
    is_same_run = sa.and_(counted.c.job == ledger.c.job, counted.c.prediction == ledger.c.prediction)
    return (
        _select_mismatch(_job_and_account, _counted, _or_zero(counted.c.micros))
        .select_from(sa.outerjoin(ledger, counted, is_same_run))
        .where(
            ledger.c.kind == EntryKind.EXPIRE.value,
            rows.is_job(ledger.c.job),
            rows.has_account(accounts.c.scope.in_(["failed", "failed_user"])),
            _counted != _or_zero(counted.c.micros),
        )
    )


def _build_checks(rows: _Rows) -> dict[str, sa.Select[Any]]:
    """Name the checks as `quota verify` prints the names, before the row's id."""
    checks = {
        **_build_hold_checks(rows),
        **_build_cost_checks(rows),
        **_build_run_checks(rows),
    }
    return {name: check.order_by("row").limit(bindparam("most")) for name, check in checks.items()}


_ROWS_WITHOUT_ACCOUNT = (
    _select_mismatch(ledger.c.account, sa.func.count(ledger.c.id), sa.literal(0))
    .where(~sa.exists().where(accounts.c.id == ledger.c.account))
    .group_by(ledger.c.account)
    .order_by("row")
    .limit(bindparam("most"))
)
_CHECKS_OF_ALL = {
    _UNKNOWN_ACCOUNT: _ROWS_WITHOUT_ACCOUNT,
    **_build_checks(_ALL),
}
_CHECKS_OF_NEW = _build_checks(_NEW)
_COUNTS = {table.name: sa.select(sa.func.count()).select_from(table) for table in (accounts, ledger, jobs, predictions)}

_SELECT_CHECKPOINT = sa.select(ledger_checkpoint)
_SELECT_CHECKPOINT_ACCOUNTS = sa.select(checkpoint_accounts)
_INSERT_CHECKPOINT = insert(ledger_checkpoint).on_conflict_do_nothing(index_elements=["id"])
_insert_amounts = insert(checkpoint_accounts)
_PUT_AMOUNTS = _insert_amounts.on_conflict_do_update(
    index_elements=["account"], set_={column: _insert_amounts.excluded[column] for column in _AMOUNTS}
)
_FORGET_AMOUNTS = sa.delete(checkpoint_accounts).where(checkpoint_accounts.c.account.in_(_ids))


@dataclass(frozen=True, slots=True)
class LedgerMismatch:
    """One row in conflict with other rows: the check, the row's id, and the found and expected value."""

    check: str
    row: str
    found: int
    expected: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A ledger row up to which all checks have passed, with the `amounts` of the accounts that may still change."""

    entry: int
    row_count: int
    """Ledger rows up to the checkpoint."""
    open_jobs: Collection[str]
    amounts: Mapping[str, Amounts]
    checked_at: datetime
    completed_at: datetime
    """When all rows up to the checkpoint of then were read."""


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """The mismatches among the rows read, the numbers of these rows by subject, and the checkpoint without mismatch."""

    mismatches: Sequence[LedgerMismatch]
    counts: Mapping[str, int]
    checkpoint: Checkpoint


class LedgerChecks:
    """Runs all checks inside one reading, so that all rows are of the same moment."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._stream = statements.stream

    async def read_last_entry(self) -> int:
        """Read the id of the newest ledger row; 0 in an empty ledger."""
        return (await self._run(_SELECT_LAST_ENTRY)).scalar_one() or 0

    async def read_all(
        self, settled_entry: int, now: datetime, limit: int, report_check: Callable[[str], None] = lambda _: None
    ) -> LedgerReading:
        """Compare all rows; list at most `limit` mismatches for each check.

        `settled_entry` is the row of the new checkpoint. `report_check` is called with the number and the name of each
        check before the check.
        """
        counts = {name: int((await self._run(count)).scalar_one()) for name, count in _COUNTS.items()}
        steps = 1 + len(_CHECKS_OF_ALL)
        report_check(f"1 of {steps}: the amounts of accounts")
        mismatches, live = await self._compare_all_accounts(limit, now - _GRACE)
        for n, (name, check) in enumerate(_CHECKS_OF_ALL.items(), 2):
            report_check(f"{n} of {steps}: {name}")
            mismatches += await self._find_mismatches(name, check, {"most": limit})
        tail, tail_count = await self._sum_entries(settled_entry, await self.read_last_entry())
        amounts = {account: _subtract(sums, tail[account]) for account, sums in live.items()}
        row_count = counts["ledger"] - tail_count
        open_jobs = await self._list_ids(_SELECT_OPEN_JOBS)
        return LedgerReading(mismatches, counts, Checkpoint(settled_entry, row_count, open_jobs, amounts, now, now))

    async def read_new(
        self, checkpoint: Checkpoint, settled_entry: int, now: datetime, limit: int
    ) -> LedgerReading | None:
        """Compare the rows after a checkpoint, the live accounts, and all jobs that are or were open since.

        Return None where so many jobs share one run that reading everything is the quicker way.
        """
        last_entry = await self.read_last_entry()
        settled_entry = max(settled_entry, checkpoint.entry)  # another verification may have come further meanwhile
        new, new_count = await self._sum_entries(checkpoint.entry, last_entry)
        tail, tail_count = await self._sum_entries(settled_entry, last_entry)
        found = _Mismatches(limit)
        if checkpoint.entry and not await self._list_ids(_SELECT_ENTRY, {"entry": checkpoint.entry}):
            found.add([LedgerMismatch(_LOST_CHECKPOINT, str(checkpoint.entry), 0, 1)])
        live: dict[str, Amounts] = {}
        names = sorted({*new, *checkpoint.amounts})
        for portion in _split(names):
            live |= await self._compare_accounts(portion, checkpoint.amounts, new, now - _GRACE, found)
        open_jobs = await self._list_ids(_SELECT_OPEN_JOBS)
        lost_runs: dict[str, set[str]] = {job: set() for job in (*open_jobs, *checkpoint.open_jobs)}
        for row in await self._run(_SELECT_NEW_JOBS, _range(checkpoint.entry, last_entry)):
            lost_runs.setdefault(row.job, set()).update({row.prediction} - {""})
        for portion in _split(sorted(lost_runs)):
            if not await self._check_jobs(portion, set().union(*(lost_runs[job] for job in portion)), limit, found):
                return None
        amounts = {account: _subtract(sums, tail[account]) for account, sums in live.items()}
        row_count = checkpoint.row_count + new_count - tail_count
        moved = Checkpoint(settled_entry, row_count, open_jobs, amounts, now, checkpoint.completed_at)
        counts = {"ledger": new_count, "jobs": len(lost_runs), "accounts": len(names)}
        return LedgerReading(found.list_all(), counts, moved)

    async def _compare_all_accounts(
        self, limit: int, since: datetime
    ) -> tuple[list[LedgerMismatch], dict[str, Amounts]]:
        """Compare all accounts with the ledger; return also the sums of accounts that expire after a time."""
        found, live = _Mismatches(limit), {}
        async with aclosing(self._stream(_WRONG_OR_LIVE_ACCOUNTS, {"since": since})) as portions:
            async for rows in portions:
                for row in rows:
                    expected = _read_amounts(row, "expected_")
                    found.compare_account(row, expected)
                    if row.is_live:
                        live[str(row.id)] = expected
        return found.list_all(), live

    async def _compare_accounts(
        self,
        names: Sequence[str],
        known: Mapping[str, Amounts],
        new: Mapping[str, Amounts],
        since: datetime,
        found: "_Mismatches",
    ) -> dict[str, Amounts]:
        """Compare accounts with the sums at the checkpoint and of the new rows; return the sums of live accounts.

        An account without sums at the checkpoint is new, or had expired: all rows of the account are read.
        """
        rows = {row.id: row for row in await self._run(_SELECT_ACCOUNTS, {"ids": names, "since": since})}
        others = [name for name in names if name not in known]
        sums = await self._run(_SUM_HISTORIES, {"ids": others}) if others else ()
        histories = {row.account: _read_amounts(row) for row in sums}
        live = {}
        for name in names:
            expected = _add(known[name], new.get(name, _NOTHING)) if name in known else histories[name]
            if name not in rows:
                found.add([LedgerMismatch(_UNKNOWN_ACCOUNT, name, 1, 0)])
                continue
            found.compare_account(rows[name], expected)
            if rows[name].is_live:
                live[name] = expected
        return live

    async def _check_jobs(self, ids: Sequence[str], lost_runs: set[str], limit: int, found: "_Mismatches") -> bool:
        """Run the checks of jobs, of ended jobs' runs and of lost runs. Return whether a statement has room for all."""
        runs = {*await self._list_ids(_SELECT_ENDED_RUNS, {"ids": ids}), *lost_runs}
        # Jobs that reuse a result share its run, and the run's cost is compared with all of them together.
        sharing = await self._list_ids(_SELECT_JOBS_OF_RUNS, {"predictions": sorted(runs)})
        if len(sharing) >= _MAX_VALUES:
            return False
        facts = {"ids": sorted({*ids, *sharing}), "predictions": sorted(runs), "most": limit}
        for name, check in _CHECKS_OF_NEW.items():
            found.add(await self._find_mismatches(name, check, facts))
        return True

    async def _find_mismatches(
        self, name: str, check: sa.Select[Any], facts: Mapping[str, Any]
    ) -> list[LedgerMismatch]:
        rows = await self._run(check, facts)
        return [LedgerMismatch(name, row.row, int(row.found), int(row.expected)) for row in rows]

    async def _sum_entries(self, after: int, until: int) -> tuple[Mapping[str, Amounts], int]:
        """Sum the rows after a row and up to another, by account; return also the number of rows."""
        sums: dict[str, Amounts] = defaultdict(lambda: _NOTHING)
        count = 0
        for row in await self._run(_SUM_NEW, _range(after, until)):
            sums[row.account] = _read_amounts(row)
            count += row.rows
        return sums, count

    async def _list_ids(self, statement: sa.Select[Any], facts: Mapping[str, Any] | None = None) -> list[str]:
        return [row[0] for row in await self._run(statement, facts)]


class CheckpointStore:
    """Keeps the checkpoint. It proves nothing against somebody who writes to the database without the triggers."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def get(self) -> Checkpoint | None:
        """Read the checkpoint; None before the first verification."""
        row = (await self._run(_SELECT_CHECKPOINT)).first()
        if row is None:
            return None
        amounts = {kept.account: _read_amounts(kept) for kept in await self._run(_SELECT_CHECKPOINT_ACCOUNTS)}
        return Checkpoint(row.entry, row.row_count, row.open_jobs, amounts, row.checked_at, row.completed_at)

    async def replace(self, previous: Checkpoint | None, new: Checkpoint) -> bool:
        """Keep a new checkpoint, unless another verification has replaced the `previous` one."""
        row = {
            "entry": new.entry,
            "row_count": new.row_count,
            "open_jobs": list(new.open_jobs),
            "checked_at": new.checked_at,
            "completed_at": new.completed_at,
        }
        if previous is None:
            result = await self._run(_INSERT_CHECKPOINT, {"id": "ledger", **row})
        else:
            is_previous = ledger_checkpoint.c.entry == previous.entry
            result = await self._run(sa.update(ledger_checkpoint).where(is_previous).values(row))
        if not result.rowcount:
            return False
        before = previous.amounts if previous else {}
        changed = [(account, sums) for account, sums in new.amounts.items() if before.get(account) != sums]
        if changed:
            await self._run(
                _PUT_AMOUNTS,
                [{"account": account, **dict(zip(_AMOUNTS, sums, strict=True))} for account, sums in changed],
            )
        for portion in _split(sorted(before.keys() - new.amounts.keys())):
            await self._run(_FORGET_AMOUNTS, {"ids": portion})
        return True

    async def delete(self) -> None:
        """Forget the checkpoint: the next verification reads all rows."""
        await self._run(sa.delete(ledger_checkpoint))
        await self._run(sa.delete(checkpoint_accounts))


class _Mismatches:
    """Collects mismatches without repeats, at most `limit` of each check."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[str, dict[LedgerMismatch, None]] = defaultdict(dict)

    def add(self, mismatches: Iterable[LedgerMismatch]) -> None:
        for mismatch in mismatches:
            if len(self._found[mismatch.check]) < self._limit:
                self._found[mismatch.check][mismatch] = None

    def compare_account(self, row: Any, expected: Amounts) -> None:
        found = _read_amounts(row)
        if found != expected:
            pairs = zip(_AMOUNTS.values(), found, expected, strict=True)
            self.add(LedgerMismatch(check, row.id, value, right) for check, value, right in pairs if value != right)

    def list_all(self) -> list[LedgerMismatch]:
        return [mismatch for mismatches in self._found.values() for mismatch in mismatches]


def _read_amounts(row: Any, prefix: str = "") -> Amounts:
    columns = row._mapping
    return (
        int(columns[f"{prefix}balance_micros"]),
        int(columns[f"{prefix}held_micros"]),
        int(columns[f"{prefix}granted_micros"]),
    )


def _add(sums: Amounts, more: Amounts) -> Amounts:
    return sums[0] + more[0], sums[1] + more[1], sums[2] + more[2]


def _subtract(sums: Amounts, less: Amounts) -> Amounts:
    return sums[0] - less[0], sums[1] - less[1], sums[2] - less[2]


def _range(after: int, until: int) -> dict[str, int]:
    return {"after_entry": after, "until_entry": until}


def _split(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _PORTION):
        yield ids[start : start + _PORTION]
