"""The ledger: accounts, and the rows that move them through the database's own triggers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold, ResetPeriod
from bot.storage.connection import Statements
from bot.storage.tables.jobs import jobs
from bot.storage.tables.ledger import accounts, ledger

_OPEN = insert(accounts).on_conflict_do_nothing(index_elements=["id"])
_GET = sa.select(accounts).where(accounts.c.id == bindparam("account"))
_LOCK = (
    sa.select(accounts)
    .where(accounts.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(accounts.c.id)  # everyone locks in the same order, so nobody waits in a circle
    .with_for_update()
)
_APPEND = sa.insert(ledger)

_close = ledger.alias("close")
_IS_CLOSED = sa.exists().where(
    _close.c.job == ledger.c.job, _close.c.account == ledger.c.account, sa.text("close.kind IN ('settle', 'release')")
)
_OPEN_HOLDS = (
    sa.select(accounts, ledger.c.held_delta_micros.label("amount"))
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(ledger.c.job == bindparam("of_job"), sa.text("ledger.kind = 'hold'"), ~_IS_CLOSED)
    .order_by(accounts.c.kind == AccountKind.BUDGET.value, ledger.c.id)
)
_ENTRIES = sa.select(ledger).where(ledger.c.account.in_(bindparam("accounts", expanding=True))).order_by(ledger.c.id)
_ENTRIES_OF_JOB = sa.select(ledger).where(ledger.c.job == bindparam("of_job")).order_by(ledger.c.id)

_spent = -sa.func.sum(ledger.c.balance_delta_micros)
_SPENT_BY_MODEL = (
    sa.select(jobs.c.model, sa.func.count(ledger.c.job.distinct()).label("jobs"), _spent.label("micros"))
    .join_from(ledger, jobs, jobs.c.id == ledger.c.job)
    .where(ledger.c.kind == EntryKind.SETTLE.value, ledger.c.account.in_(bindparam("accounts", expanding=True)))
    .group_by(jobs.c.model)
    .order_by(_spent.desc(), jobs.c.model)
)

_hold = ledger.alias("hold")
_BY_ASKER = (
    sa.text("hold.kind = 'hold'"),
    # "~" sorts behind every character of an id, and ids are compared byte by byte.
    _hold.c.actor >= bindparam("first"),
    _hold.c.actor < bindparam("first").concat(bindparam("beyond")),
    _hold.c.at >= bindparam("since"),
)
_used = sa.case(
    (_close.c.kind == EntryKind.SETTLE.value, -_close.c.balance_delta_micros),
    (_close.c.kind.is_(None), _hold.c.held_delta_micros),
    else_=0,
)
_closes_it = sa.and_(
    _close.c.job == _hold.c.job, _close.c.account == _hold.c.account, sa.text("close.kind IN ('settle', 'release')")
)
_USED_BY = (
    sa.select(sa.func.coalesce(sa.func.sum(_used), 0))
    .select_from(sa.outerjoin(_hold, _close, _closes_it))
    .where(
        *_BY_ASKER,
        _hold.c.account >= bindparam("wallets"),
        _hold.c.account < bindparam("wallets").concat("~"),
    )
)
_SPENT_BY_ASKER = (
    sa.select(_hold.c.actor, sa.func.count(ledger.c.job.distinct()).label("jobs"), _spent.label("micros"))
    .join_from(ledger, _hold, sa.and_(_hold.c.job == ledger.c.job, _hold.c.account == ledger.c.account))
    .where(
        ledger.c.kind == EntryKind.SETTLE.value,
        ledger.c.account >= "wallet:",
        ledger.c.account < "wallet:~",
        *_BY_ASKER,
    )
    .group_by(_hold.c.actor)
    .order_by(_spent.desc(), _hold.c.actor)
    .limit(bindparam("most"))
)


class LedgerStore:
    """Accounts and the rows that move them. The database itself refuses what must not be."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def open_account(self, account: Account, grant: Entry) -> bool:
        """Create an account with its first grant, unless it is there. True when it is new."""
        # Empty whatever the value says: only the ledger's rows put money in.
        row = {
            "id": account.id,
            "kind": account.kind.value,
            "scope": account.scope,
            "platform": account.platform,
            "workspace": account.workspace,
            "user": account.user,
            "window": account.window,
            "expires_at": account.expires_at,
        }
        if not (await self._run(_OPEN, row)).rowcount:
            return False
        await self.append([grant])
        return True

    async def lock_accounts(self, ids: Sequence[str]) -> dict[str, Account]:
        """The accounts, locked for this transaction in id order where the engine locks rows; unknown ids left out."""
        rows = await self._run(_LOCK, {"ids": list(ids)})
        return {row.id: _account_from_row(row) for row in rows}

    async def get_account(self, account_id: str) -> Account | None:
        row = (await self._run(_GET, {"account": account_id})).first()
        return _account_from_row(row) if row else None

    async def append(self, entries: Sequence[Entry]) -> None:
        """Raises `DuplicateEntry` or `Overdrawn`, and then the transaction is lost."""
        if not entries:
            return
        await self._run(_APPEND, [_row_from_entry(entry) for entry in entries])

    async def list_open_holds(self, job_id: str) -> list[Hold]:
        """Holds of a job that nothing has closed, wallets before budgets, in the order they were drawn."""
        rows = await self._run(_OPEN_HOLDS, {"of_job": job_id})
        return [Hold(_account_from_row(row), job_id, row.amount) for row in rows]

    async def list_entries(self, account_ids: Sequence[str]) -> list[Entry]:
        return [_entry_from_row(row) for row in await self._run(_ENTRIES, {"accounts": list(account_ids)})]

    async def list_job_entries(self, job_id: str) -> list[Entry]:
        return [_entry_from_row(row) for row in await self._run(_ENTRIES_OF_JOB, {"of_job": job_id})]

    async def sum_spent_by_model(self, account_ids: Sequence[str]) -> list[tuple[str, int, int]]:
        """(model, jobs, micros) settled on these accounts, dearest first."""
        rows = await self._run(_SPENT_BY_MODEL, {"accounts": list(account_ids)})
        return [(row.model, row.jobs, int(row.micros)) for row in rows]

    async def sum_used(self, askers: str, since: datetime, wallets: str) -> int:
        """What asks since then took from wallets, in micros: what closed ones cost, and what open ones hold.

        `askers` and `wallets` are how their names begin; a whole name of an asker ends in nothing else.
        """
        # A whole name must not let in those that begin with it: "\x01" sorts before every character of an id.
        beyond = "~" if askers.endswith(":") else "\x01"
        facts = {"first": askers, "beyond": beyond, "since": since, "wallets": wallets}
        return int((await self._run(_USED_BY, facts)).scalar_one())

    async def sum_spent_by_user(self, askers: str, since: datetime, limit: int) -> list[tuple[str, int, int]]:
        """(asker, jobs, micros) settled on wallets since then, dearest first.

        `askers` is how their names begin, `discord:GUILD:` for instance: a hold's actor is who asked.
        """
        facts = {"first": askers, "beyond": "~", "since": since, "most": limit}
        rows = await self._run(_SPENT_BY_ASKER, facts)
        return [(row.actor, row.jobs, int(row.micros)) for row in rows]


def _account_from_row(row: sa.Row[Any]) -> Account:
    return Account(
        id=row.id,
        kind=AccountKind(row.kind),
        scope=row.scope,
        platform=row.platform,
        workspace=row.workspace,
        user=row.user,
        window=row.window,
        expires_at=row.expires_at,
        balance_micros=row.balance_micros,
        held_micros=row.held_micros,
        granted_micros=row.granted_micros,
    )


def _row_from_entry(entry: Entry) -> dict[str, Any]:
    return {
        "account": entry.account,
        "job": entry.job,
        "kind": entry.kind.value,
        "balance_delta_micros": entry.balance_delta_micros,
        "held_delta_micros": entry.held_delta_micros,
        "key": entry.key,
        "actor": entry.actor,
        "prediction": entry.prediction,
        "reason": entry.reason,
        "reset_period": entry.reset_period.value if entry.reset_period else "",
        "at": entry.at,
    }


def _entry_from_row(row: sa.Row[Any]) -> Entry:
    return Entry(
        account=row.account,
        job=row.job,
        kind=EntryKind(row.kind),
        balance_delta_micros=row.balance_delta_micros,
        held_delta_micros=row.held_delta_micros,
        key=row.key,
        actor=row.actor,
        prediction=row.prediction,
        reason=row.reason,
        reset_period=ResetPeriod(row.reset_period) if row.reset_period else None,
        at=row.at,
    )
