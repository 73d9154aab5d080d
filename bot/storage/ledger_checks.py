"""Compares ledger, accounts, jobs and predictions with one another, in one pass over the rows for each check."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.money import AccountKind, EntryKind
from bot.storage.connection import Statements
from bot.storage.tables.jobs import IS_OPEN, jobs, predictions
from bot.storage.tables.ledger import accounts, ledger

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
_account_sums = (
    sa.select(
        ledger.c.account,
        _sum(ledger.c.balance_delta_micros).label("balance_micros"),
        _sum(ledger.c.held_delta_micros).label("held_micros"),
        _sum(sa.case((_is_granting, ledger.c.balance_delta_micros), else_=0)).label("granted_micros"),
    )
    .group_by(ledger.c.account)
    .subquery()
)


# One statement for the three amounts: summing the whole ledger is the dearest part of `quota verify`.
_AMOUNTS = {
    "balance_micros": "the balance of account",
    "held_micros": "what is held on account",
    "granted_micros": "what was granted to account",
}
"""The name of the check of each amount."""

_WRONG_ACCOUNTS = (
    sa.select(
        accounts.c.id,
        *(accounts.c[column] for column in _AMOUNTS),
        *(_or_zero(_account_sums.c[column]).label(f"expected_{column}") for column in _AMOUNTS),
    )
    .select_from(sa.outerjoin(accounts, _account_sums, _account_sums.c.account == accounts.c.id))
    .where(sa.or_(*(accounts.c[column] != _or_zero(_account_sums.c[column]) for column in _AMOUNTS)))
    .order_by(accounts.c.id)
)

_ROWS_WITHOUT_ACCOUNT = (
    _select_mismatch(ledger.c.account, sa.func.count(ledger.c.id), sa.literal(0))
    .where(~sa.exists().where(accounts.c.id == ledger.c.account))
    .group_by(ledger.c.account)
)

# Check: an open job has open holds, and a closed job has a close for each hold.

_is_hold = ledger.c.kind == EntryKind.HOLD.value
_is_close = ledger.c.kind.in_([EntryKind.SETTLE.value, EntryKind.RELEASE.value])
_holds_by_job = (
    sa.select(
        ledger.c.job,
        _sum(sa.case((_is_hold, 1), else_=0)).label("holds"),
        _sum(sa.case((_is_close, 1), else_=0)).label("closes"),
    )
    .where(ledger.c.job != "", sa.or_(_is_hold, _is_close))
    .group_by(ledger.c.job)
    .subquery()
)
_is_open_job = sa.exists().where(jobs.c.id == _holds_by_job.c.job, sa.text(f"jobs.{IS_OPEN}"))
_CLOSED_JOBS_WITH_HOLDS = _select_mismatch(_holds_by_job.c.job, _holds_by_job.c.closes, _holds_by_job.c.holds).where(
    _holds_by_job.c.holds != _holds_by_job.c.closes, ~_is_open_job
)
_OPEN_JOBS_WITHOUT_HOLDS = (
    _select_mismatch(jobs.c.id, _or_zero(_holds_by_job.c.holds - _holds_by_job.c.closes), sa.literal(1))
    .select_from(sa.outerjoin(jobs, _holds_by_job, _holds_by_job.c.job == jobs.c.id))
    .where(sa.text(f"jobs.{IS_OPEN}"), sa.or_(_holds_by_job.c.job.is_(None), _holds_by_job.c.closes > 0))
)

# Check: wallets paid the job's cost, a user's budgets counted the same amount, and the workspace's the bot's amount.

_is_settle = ledger.c.kind == EntryKind.SETTLE.value
_paid_by_job = (
    sa.select(ledger.c.job, (-_sum(ledger.c.balance_delta_micros)).label("micros"))
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(_is_settle, accounts.c.kind == AccountKind.WALLET.value)
    .group_by(ledger.c.job)
    .subquery()
)
_WALLETS_UNLIKE_JOB = (
    _select_mismatch(jobs.c.id, _or_zero(_paid_by_job.c.micros), _or_zero(jobs.c.cost_micros))
    .select_from(sa.outerjoin(jobs, _paid_by_job, _paid_by_job.c.job == jobs.c.id))
    .where(sa.text(f"NOT jobs.{IS_OPEN}"), _or_zero(_paid_by_job.c.micros) != _or_zero(jobs.c.cost_micros))
)
_BUDGETS_UNLIKE_JOB = (
    _select_mismatch(ledger.c.job.concat(" ").concat(accounts.c.id), -ledger.c.balance_delta_micros, jobs.c.cost_micros)
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .join(jobs, jobs.c.id == ledger.c.job)
    .where(
        _is_settle,
        accounts.c.kind == AccountKind.BUDGET.value,
        accounts.c.scope == "user",
        -ledger.c.balance_delta_micros != jobs.c.cost_micros,
    )
)
# The close of a failed run settles both shared budgets by the owner's cost.
_settled_by_bot = (
    sa.select(ledger.c.job, (-ledger.c.balance_delta_micros).label("micros"))
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(_is_settle, accounts.c.scope == "bot")
    .subquery()
)
_WORKSPACE_UNLIKE_BOT = (
    _select_mismatch(
        ledger.c.job.concat(" ").concat(accounts.c.id),
        -ledger.c.balance_delta_micros,
        _or_zero(_settled_by_bot.c.micros),
    )
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .outerjoin(_settled_by_bot, _settled_by_bot.c.job == ledger.c.job)
    .where(
        _is_settle,
        accounts.c.scope == "workspace",
        -ledger.c.balance_delta_micros != _or_zero(_settled_by_bot.c.micros),
    )
)

# Check: the bot's budget counted the backend's real cost of every run, of the jobs' runs and of abandoned runs.

# An ADJUST only makes room in the budget; the EXPIRE beside it is the count.
_bot_rows = (
    sa.select(ledger.c.job, ledger.c.prediction, ledger.c.balance_delta_micros)
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(accounts.c.scope == "bot", ledger.c.job != "", ledger.c.kind != EntryKind.ADJUST.value)
    .subquery()
)
_counted_by_job = (
    sa.select(_bot_rows.c.job, (-_sum(_bot_rows.c.balance_delta_micros)).label("micros"))
    .where(_bot_rows.c.prediction == "")
    .group_by(_bot_rows.c.job)
    .subquery()
)
# Jobs that reuse a result share its prediction: their counts are added up.
_counted_by_prediction = (
    sa.select(
        jobs.c.prediction,
        _sum(_or_zero(_counted_by_job.c.micros)).label("micros"),
        _sum(sa.case((sa.text(f"jobs.{IS_OPEN}"), 1), else_=0)).label("open_jobs"),
    )
    .select_from(sa.outerjoin(jobs, _counted_by_job, _counted_by_job.c.job == jobs.c.id))
    .where(jobs.c.prediction.is_not(None))
    .group_by(jobs.c.prediction)
    .subquery()
)
_BOT_BUDGET_UNLIKE_RUN = (
    _select_mismatch(predictions.c.id, _counted_by_prediction.c.micros, _or_zero(predictions.c.cost_micros))
    .join_from(predictions, _counted_by_prediction, _counted_by_prediction.c.prediction == predictions.c.id)
    .where(
        _counted_by_prediction.c.open_jobs == 0,
        _counted_by_prediction.c.micros != _or_zero(predictions.c.cost_micros),
    )
)
_counted_by_lost_prediction = (
    sa.select(_bot_rows.c.prediction, (-_sum(_bot_rows.c.balance_delta_micros)).label("micros"))
    .where(_bot_rows.c.prediction != "")
    .group_by(_bot_rows.c.prediction)
    .subquery()
)
_BOT_BUDGET_UNLIKE_LOST_RUN = (
    _select_mismatch(predictions.c.id, _or_zero(_counted_by_lost_prediction.c.micros), predictions.c.cost_micros)
    .select_from(
        sa.outerjoin(
            predictions, _counted_by_lost_prediction, _counted_by_lost_prediction.c.prediction == predictions.c.id
        )
    )
    .where(
        ~sa.exists().where(jobs.c.prediction == predictions.c.id),
        _or_zero(_counted_by_lost_prediction.c.micros) != _or_zero(predictions.c.cost_micros),
    )
)

# Check: the counts of failed runs are the amounts that the bot's budget counted for the same job and run.
_counted_by_run = (
    sa.select(_bot_rows.c.job, _bot_rows.c.prediction, (-_sum(_bot_rows.c.balance_delta_micros)).label("micros"))
    .group_by(_bot_rows.c.job, _bot_rows.c.prediction)
    .subquery()
)
_FAILED_RUNS_UNLIKE_BOT = (
    _select_mismatch(
        ledger.c.job.concat(" ").concat(accounts.c.id),
        -ledger.c.balance_delta_micros,
        _or_zero(_counted_by_run.c.micros),
    )
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .outerjoin(
        _counted_by_run,
        sa.and_(_counted_by_run.c.job == ledger.c.job, _counted_by_run.c.prediction == ledger.c.prediction),
    )
    .where(
        ledger.c.kind == EntryKind.EXPIRE.value,
        accounts.c.scope.in_(["failed", "failed_user"]),
        -ledger.c.balance_delta_micros != _or_zero(_counted_by_run.c.micros),
    )
)

# `quota verify` prints each name before the row's id.
_CHECKS: Mapping[str, sa.Select[Any]] = {
    "rows of an unknown account": _ROWS_WITHOUT_ACCOUNT,
    "closes of holds of job": _CLOSED_JOBS_WITH_HOLDS,
    "open holds of open job": _OPEN_JOBS_WITHOUT_HOLDS,
    "what was paid for job": _WALLETS_UNLIKE_JOB,
    "what a budget counted for job": _BUDGETS_UNLIKE_JOB,
    "what the workspace's budget counted for job": _WORKSPACE_UNLIKE_BOT,
    "what failed runs cost for job": _FAILED_RUNS_UNLIKE_BOT,
    "what the bot's budget counted for prediction": _BOT_BUDGET_UNLIKE_RUN,
    "what the bot's budget counted for lost prediction": _BOT_BUDGET_UNLIKE_LOST_RUN,
}
_LIMITED_CHECKS = {name: check.order_by("row").limit(bindparam("most")) for name, check in _CHECKS.items()}
_COUNTS = {table.name: sa.select(sa.func.count()).select_from(table) for table in (accounts, ledger, jobs, predictions)}


@dataclass(frozen=True, slots=True)
class LedgerMismatch:
    """One row in conflict with other rows: the check, the row's id, and the found and expected value."""

    check: str
    row: str
    found: int
    expected: int


class LedgerChecks:
    """Runs all checks inside one reading, so that all rows are of the same moment."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._stream = statements.stream

    async def find_mismatches(
        self, limit: int, report_check: Callable[[str], None] = lambda _: None
    ) -> list[LedgerMismatch]:
        """List the mismatches, at most `limit` for each check. An empty list means a correct ledger.

        `report_check` is called with the number and the name of each check before the check.
        """
        steps = 1 + len(_LIMITED_CHECKS)
        report_check(f"1 of {steps}: the amounts of accounts")
        mismatches = await self._find_wrong_accounts(limit)
        for n, (name, check) in enumerate(_LIMITED_CHECKS.items(), 2):
            report_check(f"{n} of {steps}: {name}")
            rows = await self._run(check, {"most": limit})
            mismatches += [LedgerMismatch(name, row.row, int(row.found), int(row.expected)) for row in rows]
        return mismatches

    async def _find_wrong_accounts(self, limit: int) -> list[LedgerMismatch]:
        found: dict[str, list[LedgerMismatch]] = {column: [] for column in _AMOUNTS}
        async with aclosing(self._stream(_WRONG_ACCOUNTS)) as portions:
            async for rows in portions:
                for row in rows:
                    amounts = row._mapping
                    for column, check in _AMOUNTS.items():
                        value, expected = int(amounts[column]), int(amounts[f"expected_{column}"])
                        if value != expected and len(found[column]) < limit:
                            found[column].append(LedgerMismatch(check, row.id, value, expected))
                if all(len(mismatches) == limit for mismatches in found.values()):
                    break
        return [mismatch for mismatches in found.values() for mismatch in mismatches]

    async def count_rows(self) -> dict[str, int]:
        """Count the compared rows, by table."""
        return {name: int((await self._run(count)).scalar_one()) for name, count in _COUNTS.items()}
