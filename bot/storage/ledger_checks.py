"""The books against one another: ledger, accounts, jobs and predictions, each compared in one pass over its rows."""

from collections.abc import Mapping
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
    """A sum of micros that is never NULL. PostgreSQL adds BIGINTs into a NUMERIC, so it is cast back."""
    return sa.cast(sa.func.coalesce(sa.func.sum(*of), 0), _MICROS)


def _or_zero(column: Any) -> Any:
    return sa.func.coalesce(column, 0)


def _compared(row: Any, says: Any, should_say: Any) -> tuple[Any, ...]:
    return row.label("row"), says.label("says"), should_say.label("should_say")


# Each account is the sum of its rows.

_counts_as_granted = ledger.c.kind.in_([EntryKind.GRANT.value, EntryKind.ADJUST.value])
_sums = (
    sa.select(
        ledger.c.account,
        _sum(ledger.c.balance_delta_micros).label("balance_micros"),
        _sum(ledger.c.held_delta_micros).label("held_micros"),
        _sum(sa.case((_counts_as_granted, ledger.c.balance_delta_micros), else_=0)).label("granted_micros"),
    )
    .group_by(ledger.c.account)
    .subquery()
)


def _account_against_rows(column: str) -> sa.Select[Any]:
    says, should_say = accounts.c[column], _or_zero(_sums.c[column])
    joined = sa.outerjoin(accounts, _sums, _sums.c.account == accounts.c.id)
    return sa.select(*_compared(accounts.c.id, says, should_say)).select_from(joined).where(says != should_say)


_ROWS_OF_NOBODY = (
    sa.select(*_compared(ledger.c.account, sa.func.count(ledger.c.id), sa.literal(0)))
    .where(~sa.exists().where(accounts.c.id == ledger.c.account))
    .group_by(ledger.c.account)
)

# Money is held for a job exactly as long as it is open, and closed as often as it was held.

_is_hold = ledger.c.kind == EntryKind.HOLD.value
_is_close = ledger.c.kind.in_([EntryKind.SETTLE.value, EntryKind.RELEASE.value])
_of_jobs = (
    sa.select(
        ledger.c.job,
        _sum(sa.case((_is_hold, 1), else_=0)).label("holds"),
        _sum(sa.case((_is_close, 1), else_=0)).label("closes"),
        _sum(ledger.c.held_delta_micros).label("held_micros"),
    )
    .where(ledger.c.job != "", sa.or_(_is_hold, _is_close))
    .group_by(ledger.c.job)
    .subquery()
)
_job_is_open = sa.exists().where(jobs.c.id == _of_jobs.c.job, sa.text(f"jobs.{IS_OPEN}"))
_HELD_FOR_CLOSED_JOBS = sa.select(*_compared(_of_jobs.c.job, _of_jobs.c.closes, _of_jobs.c.holds)).where(
    _of_jobs.c.holds != _of_jobs.c.closes, ~_job_is_open
)
_OPEN_WITHOUT_HOLDS = (
    sa.select(*_compared(jobs.c.id, _or_zero(_of_jobs.c.holds - _of_jobs.c.closes), sa.literal(1)))
    .select_from(sa.outerjoin(jobs, _of_jobs, _of_jobs.c.job == jobs.c.id))
    .where(sa.text(f"jobs.{IS_OPEN}"), sa.or_(_of_jobs.c.job.is_(None), _of_jobs.c.closes > 0))
)

# What a person paid is what their job says it cost, and every budget but the bot's counted the same.

_is_settle = ledger.c.kind == EntryKind.SETTLE.value
_paid = (
    sa.select(ledger.c.job, (-_sum(ledger.c.balance_delta_micros)).label("micros"))
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(_is_settle, accounts.c.kind == AccountKind.WALLET.value)
    .group_by(ledger.c.job)
    .subquery()
)
_PAID_UNLIKE_COST = (
    sa.select(*_compared(jobs.c.id, _or_zero(_paid.c.micros), _or_zero(jobs.c.cost_micros)))
    .select_from(sa.outerjoin(jobs, _paid, _paid.c.job == jobs.c.id))
    .where(sa.text(f"NOT jobs.{IS_OPEN}"), _or_zero(_paid.c.micros) != _or_zero(jobs.c.cost_micros))
)
_COUNTED_UNLIKE_PAID = (
    sa.select(
        *_compared(ledger.c.job.concat(" ").concat(accounts.c.id), -ledger.c.balance_delta_micros, jobs.c.cost_micros)
    )
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .join(jobs, jobs.c.id == ledger.c.job)
    .where(
        _is_settle,
        accounts.c.kind == AccountKind.BUDGET.value,
        accounts.c.scope.in_(["user", "workspace"]),
        -ledger.c.balance_delta_micros != jobs.c.cost_micros,
    )
)

# What runs cost at the backend is what the bot's budget counted: for those that jobs have, and for those given up.

_bot_rows = (
    sa.select(ledger.c.job, ledger.c.kind, ledger.c.balance_delta_micros, ledger.c.prediction)
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(accounts.c.scope == "bot", ledger.c.job != "")
    .subquery()
)
_is_lost = _bot_rows.c.prediction != ""
_counted = (
    sa.select(_bot_rows.c.job, (-_sum(_bot_rows.c.balance_delta_micros)).label("micros"))
    .where(~_is_lost, _bot_rows.c.kind != EntryKind.ADJUST.value)
    .group_by(_bot_rows.c.job)
    .subquery()
)
_by_run = (
    sa.select(
        jobs.c.prediction,
        _sum(_or_zero(_counted.c.micros)).label("micros"),
        _sum(sa.case((sa.text(f"jobs.{IS_OPEN}"), 1), else_=0)).label("open"),
    )
    .select_from(sa.outerjoin(jobs, _counted, _counted.c.job == jobs.c.id))
    .where(jobs.c.prediction.is_not(None))
    .group_by(jobs.c.prediction)
    .subquery()
)
_COUNTED_UNLIKE_RUN = (
    sa.select(*_compared(predictions.c.id, _by_run.c.micros, _or_zero(predictions.c.cost_micros)))
    .join_from(predictions, _by_run, _by_run.c.prediction == predictions.c.id)
    .where(_by_run.c.open == 0, _by_run.c.micros != _or_zero(predictions.c.cost_micros))
)
_lost = (
    sa.select(_bot_rows.c.prediction, (-_sum(_bot_rows.c.balance_delta_micros)).label("micros"))
    .where(_is_lost, _bot_rows.c.kind != EntryKind.ADJUST.value)
    .group_by(_bot_rows.c.prediction)
    .subquery()
)
_LOST_UNLIKE_RUN = (
    sa.select(*_compared(predictions.c.id, _or_zero(_lost.c.micros), predictions.c.cost_micros))
    .select_from(sa.outerjoin(predictions, _lost, _lost.c.prediction == predictions.c.id))
    .where(
        ~sa.exists().where(jobs.c.prediction == predictions.c.id),
        _or_zero(_lost.c.micros) != _or_zero(predictions.c.cost_micros),
    )
)

_QUESTIONS: Mapping[str, sa.Select[Any]] = {
    "the balance of account": _account_against_rows("balance_micros"),
    "what is held on account": _account_against_rows("held_micros"),
    "what was granted to account": _account_against_rows("granted_micros"),
    "rows of an unknown account": _ROWS_OF_NOBODY,
    "closes of holds of job": _HELD_FOR_CLOSED_JOBS,
    "open holds of open job": _OPEN_WITHOUT_HOLDS,
    "what was paid for job": _PAID_UNLIKE_COST,
    "what a budget counted for job": _COUNTED_UNLIKE_PAID,
    "what the bot's budget counted for prediction": _COUNTED_UNLIKE_RUN,
    "what the bot's budget counted for lost prediction": _LOST_UNLIKE_RUN,
}
_BOUNDED = {what: question.order_by("row").limit(bindparam("most")) for what, question in _QUESTIONS.items()}
_SIZES = {table.name: sa.select(sa.func.count()).select_from(table) for table in (accounts, ledger, jobs, predictions)}


@dataclass(frozen=True, slots=True)
class LedgerMismatch:
    """One row that does not fit the others: what kind of row, which, and what it says against what it should say."""

    what: str
    row: str
    says: int
    should_say: int


class LedgerChecks:
    """Compares ledger, accounts, jobs and predictions with one another."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def find_mismatches(self, limit: int) -> list[LedgerMismatch]:
        """Rows that disagree, at most `limit` of each kind; none where the books are right. Changes nothing."""
        found = []
        for what, question in _BOUNDED.items():
            rows = await self._run(question, {"most": limit})
            found += [LedgerMismatch(what, row.row, int(row.says), int(row.should_say)) for row in rows]
        return found

    async def count_rows(self) -> dict[str, int]:
        """How many rows were compared, by table."""
        return {name: int((await self._run(count)).scalar_one()) for name, count in _SIZES.items()}
