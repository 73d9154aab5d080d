"""Stores accounts and the ledger rows that move the accounts' amounts through the database's triggers."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.money import Account, AccountKind, Entry, EntryKind, Hold, ResetPeriod
from bot.core.people import Actor
from bot.storage.connection import Rows, Statements
from bot.storage.tables.jobs import IS_OPEN, jobs
from bot.storage.tables.ledger import IS_GRANTED, accounts, ledger

_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_INSERT_ACCOUNT = insert(accounts).on_conflict_do_nothing(index_elements=["id"])
_SELECT_ACCOUNT = sa.select(accounts).where(accounts.c.id == bindparam("account"))
_SELECT_ACCOUNTS = sa.select(accounts).where(accounts.c.id.in_(bindparam("ids", expanding=True)))
# All transactions lock in the same order, which excludes deadlocks.
_LOCK_ACCOUNTS = _SELECT_ACCOUNTS.order_by(accounts.c.id).with_for_update()
_INSERT_ENTRIES = sa.insert(ledger)

_close = ledger.alias("close")
_IS_CLOSED = sa.exists().where(
    _close.c.job == ledger.c.job, _close.c.account == ledger.c.account, sa.text("close.kind IN ('settle', 'release')")
)
_open_holds = (
    sa.select(accounts, ledger.c.held_delta_micros.label("amount_micros"), ledger.c.id.label("entry"))
    .join_from(ledger, accounts, accounts.c.id == ledger.c.account)
    .where(ledger.c.job == bindparam("of_job"), sa.text("ledger.kind = 'hold'"), ~_IS_CLOSED)
)
_SELECT_OPEN_HOLDS = _open_holds.order_by(ledger.c.id)
# Locked in the order of all transactions, as by `_LOCK_ACCOUNTS`; the rows are those after a wait for the lock.
_LOCK_OPEN_HOLDS = _open_holds.order_by(accounts.c.id).with_for_update(of=accounts)
_SELECT_ENTRIES = (
    sa.select(ledger).where(ledger.c.account.in_(bindparam("accounts", expanding=True))).order_by(ledger.c.id)
)
_SELECT_JOB_ENTRIES = sa.select(ledger).where(ledger.c.job == bindparam("of_job")).order_by(ledger.c.id)

_spent = -sa.func.sum(ledger.c.balance_delta_micros)
_SUM_BY_MODEL = (
    sa.select(jobs.c.model, sa.func.count(ledger.c.job.distinct()).label("jobs"), _spent.label("micros"))
    .join_from(ledger, jobs, jobs.c.id == ledger.c.job)
    .where(
        ledger.c.kind == EntryKind.SETTLE.value,
        ledger.c.account.in_(bindparam("accounts", expanding=True)),
        ledger.c.at >= bindparam("since"),
    )
    .group_by(jobs.c.model)
    .order_by(_spent.desc(), jobs.c.model)
)

# Only a hold's actor is the user: settles and releases are written by the bot.
_hold = ledger.alias("hold")
_used = sa.case(
    (_close.c.kind == EntryKind.SETTLE.value, -_close.c.balance_delta_micros),
    (_close.c.kind.is_(None), _hold.c.held_delta_micros),
    else_=0,
)
_closes_hold = sa.and_(
    _close.c.job == _hold.c.job, _close.c.account == _hold.c.account, sa.text("close.kind IN ('settle', 'release')")
)
_SUM_USED = (
    sa.select(sa.func.coalesce(sa.func.sum(_used), 0))
    .select_from(sa.join(_hold, accounts, accounts.c.id == _hold.c.account).outerjoin(_close, _closes_hold))
    .where(
        sa.text("hold.kind = 'hold'"),
        _hold.c.actor == bindparam("of_actor"),
        _hold.c.at >= bindparam("since"),
        accounts.c.scope.in_(bindparam("scopes", expanding=True)),
    )
)
# Few jobs of a workspace are open: their holds are found job by job.
_SUM_HELD_IN_WORKSPACE = (
    sa.select(sa.func.coalesce(sa.func.sum(ledger.c.held_delta_micros), 0))
    .join_from(jobs, ledger, sa.and_(ledger.c.job == jobs.c.id, sa.text("ledger.kind = 'hold'")))
    .join(accounts, accounts.c.id == ledger.c.account)
    .where(
        sa.text(f"jobs.{IS_OPEN}"),
        jobs.c.platform == bindparam("of_platform"),
        jobs.c.user_workspace == bindparam("of_workspace"),
        jobs.c.created_at >= bindparam("since"),
        accounts.c.kind == AccountKind.WALLET.value,
    )
)
_SELECT_KEY = sa.select(ledger.c.id).where(ledger.c.key == bindparam("of_key"))
_SELECT_LAST_RESET = sa.select(sa.func.max(ledger.c.at)).where(
    ledger.c.account == bindparam("of_account"),
    ledger.c.at >= bindparam("since"),
    ledger.c.reset_period.in_(bindparam("periods", expanding=True)),
)
_SUM_GRANTED = sa.select(sa.func.coalesce(sa.func.sum(accounts.c.balance_micros - accounts.c.held_micros), 0)).where(
    sa.text(IS_GRANTED),
    accounts.c.platform == bindparam("of_platform"),
    accounts.c.workspace == bindparam("of_workspace"),
)
_SUM_FAILED_BY_ACTOR = (
    sa.select(ledger.c.actor, sa.func.count(ledger.c.id).label("runs"), _spent.label("micros"))
    .where(ledger.c.account == bindparam("account"), ledger.c.kind == EntryKind.EXPIRE.value)
    .group_by(ledger.c.actor)
)


class LedgerStore:
    """Reads accounts and appends ledger rows. Constraints and triggers refuse overdrafts, changes and second closes."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post

    async def open_account(self, account: Account, grant: Entry) -> bool:
        """Create an account with a first grant, unless the account exists. Returns whether the account is new.

        The amounts of `account` are ignored: only the grant's row puts money into the account.
        """
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
        if not (await self._run(_INSERT_ACCOUNT, row)).rowcount:
            return False
        await self.append([grant])
        return True

    async def lock_accounts(self, ids: Sequence[str]) -> dict[str, Account]:
        """Read the known accounts by id, and lock the rows until the end of the transaction.

        SQLite has no row locks and needs none: a write transaction has the whole file.
        """
        rows = await self._run(_LOCK_ACCOUNTS, {"ids": list(ids)})
        return {row.id: _account_from_row(row) for row in rows}

    async def get_account(self, account_id: str) -> Account | None:
        """Read one account."""
        row = (await self._run(_SELECT_ACCOUNT, {"account": account_id})).first()
        return _account_from_row(row) if row else None

    async def get_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        """Read the known accounts by id."""
        rows = await self._run(_SELECT_ACCOUNTS, {"ids": list(ids)})
        return {row.id: _account_from_row(row) for row in rows}

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add rows. Raises `DuplicateEntry` or `Overdrawn`: the caller must then roll the transaction back."""
        if not entries:
            return
        await self._run(_INSERT_ENTRIES, [_row_from_entry(entry) for entry in entries])

    async def post(self, entries: Sequence[Entry]) -> None:
        """Add rows as `append` does, but raise with the next statement or at the end of the transaction."""
        if entries:
            await self._post(_INSERT_ENTRIES, [_row_from_entry(entry) for entry in entries])

    async def list_open_holds(self, job_id: str) -> list[Hold]:
        """List the unclosed holds of a job, wallets before budgets, then in the order of the holds."""
        return _holds_from_rows(job_id, await self._run(_SELECT_OPEN_HOLDS, {"of_job": job_id}))

    async def lock_open_holds(self, job_id: str) -> list[Hold]:
        """List the holds as `list_open_holds` does, with their accounts locked as by `lock_accounts`."""
        return _holds_from_rows(job_id, await self._run(_LOCK_OPEN_HOLDS, {"of_job": job_id}))

    async def list_entries(self, account_ids: Sequence[str]) -> list[Entry]:
        """List the rows of several accounts, oldest first."""
        return [_entry_from_row(row) for row in await self._run(_SELECT_ENTRIES, {"accounts": list(account_ids)})]

    async def list_job_entries(self, job_id: str) -> list[Entry]:
        """List the rows of a job on all accounts, oldest first."""
        return [_entry_from_row(row) for row in await self._run(_SELECT_JOB_ENTRIES, {"of_job": job_id})]

    async def sum_spent_by_model(
        self, account_ids: Sequence[str], since: datetime = _EVER
    ) -> list[tuple[str, int, int]]:
        """Sum the amounts of several accounts settled since a time as (model, jobs, micros), largest amount first."""
        rows = await self._run(_SUM_BY_MODEL, {"accounts": list(account_ids), "since": since})
        return [(row.model, row.jobs, int(row.micros)) for row in rows]

    async def sum_used_by_user(self, actor: Actor, since: datetime, scopes: Collection[str]) -> int:
        """Sum, in micros, the cost of a user's closed holds and the amount of open holds since a time.

        `scopes` are the scopes of the wallets.
        """
        facts = {"of_actor": actor, "since": since, "scopes": list(scopes)}
        return int((await self._run(_SUM_USED, facts)).scalar_one())

    async def sum_held_in_workspace(self, platform: str, workspace: str, since: datetime) -> int:
        """Sum, in micros, what the wallets hold for the open jobs of a workspace's users created since a time."""
        facts = {"of_platform": platform, "of_workspace": workspace, "since": since}
        return int((await self._run(_SUM_HELD_IN_WORKSPACE, facts)).scalar_one())

    async def has_entry(self, key: str) -> bool:
        """Say whether a row with this key is in the ledger."""
        return (await self._run(_SELECT_KEY, {"of_key": key})).first() is not None

    async def find_last_reset(
        self, account_id: str, periods: Collection[ResetPeriod], since: datetime
    ) -> datetime | None:
        """Find the time of an account's latest reset of one of these periods since a time; None without a reset."""
        facts = {"of_account": account_id, "since": since, "periods": [period.value for period in periods]}
        last: datetime | None = (await self._run(_SELECT_LAST_RESET, facts)).scalar_one()
        return last

    async def sum_granted(self, platform: str, workspace: str) -> int:
        """Sum, in micros, the amounts that holds can take from the granted wallets of a workspace."""
        facts = {"of_platform": platform, "of_workspace": workspace}
        return int((await self._run(_SUM_GRANTED, facts)).scalar_one())

    async def sum_failed_by_user(self, account: str) -> list[tuple[str, int, int]]:
        """Sum the counts of a workspace's account of failed runs as (user, runs, micros), in no order."""
        rows = await self._run(_SUM_FAILED_BY_ACTOR, {"account": account})
        return [(row.actor.user, row.runs, int(row.micros)) for row in rows]


def _holds_from_rows(job_id: str, rows: Rows) -> list[Hold]:
    wallets_first = sorted(rows, key=lambda row: (row.kind == AccountKind.BUDGET.value, row.entry))
    return [Hold(_account_from_row(row), job_id, row.amount_micros) for row in wallets_first]


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
