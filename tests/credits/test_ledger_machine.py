"""A machine of many hands at the ledger: whatever they do at once, money is never created, lost or spent twice."""

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from bot.core.errors import BudgetSpent, OutOfCredits
from bot.core.money import Entry, EntryKind
from bot.core.people import User
from bot.credits.accounts import granted_wallet
from bot.credits.ledger import Ledger
from bot.credits.limits import Limits
from bot.credits.pricing import CreditForm
from bot.storage.engine import SqlDatabase
from tests.conftest import WITH_SCHEMA
from tests.fakes.rows import NOW, job
from tests.postgres import PostgresServer

USERS = [User("web", "page", name, name.title()) for name in ("ana", "ben", "cleo")]
amounts = st.integers(0, 60)
users = st.sampled_from(USERS)


class LedgerMachine(RuleBasedStateMachine):
    """Asks, ends, grants and changed limits, one by one and all at once."""

    open_jobs: Bundle[tuple[str, int]] = Bundle("open_jobs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ledger = Ledger(CreditForm(1))
        self.now = NOW
        self.limits = Limits(daily_allowance=100, bot_month=400, user_month=150, workspace_month=300)
        self.paid: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.accounts: set[str] = set()
        self.keys = itertools.count()
        self.database: SqlDatabase = self.do(self.opened())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def opened(self) -> SqlDatabase:
        raise NotImplementedError

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()

    @initialize()
    def nothing_yet(self) -> None:
        assert self.do(self.holders()) == []

    @rule(target=open_jobs, user=users, amount=amounts)
    def ask(self, user: User, amount: int) -> Any:
        held = self.do(self.hold(user, amount))
        return multiple() if held is None else held

    @rule(target=open_jobs, asks=st.lists(st.tuples(users, amounts), min_size=2, max_size=6))
    def many_ask_at_once(self, asks: list[tuple[User, int]]) -> Any:
        return multiple(*[held for held in self.do(self.holds_at_once(asks)) if held is not None])

    @rule(ended=consumes(open_jobs), cost=st.integers(0, 90))
    def end_well(self, ended: tuple[str, int], cost: int) -> None:
        paid = self.do(self.settle(ended[0], cost))
        assert paid == min(cost, ended[1])
        self.paid[ended[0]] = paid
        del self.held[ended[0]]

    @rule(ended=consumes(open_jobs), real_cost=st.integers(0, 90))
    def end_badly(self, ended: tuple[str, int], real_cost: int) -> None:
        self.do(self.release(ended[0], real_cost))
        del self.held[ended[0]]

    @rule(ended=consumes(open_jobs), cost=st.integers(0, 60))
    def end_twice_at_once(self, ended: tuple[str, int], cost: int) -> None:
        """A worker and the one that took its job over both settle: it is settled once."""
        self.paid[ended[0]] = min(cost, ended[1])
        self.do(self.settle_twice(ended[0], cost))
        del self.held[ended[0]]

    @rule(user=users, amount=st.integers(1, 50))
    def grant(self, user: User, amount: int) -> None:
        self.do(self.granted(user, amount))

    @rule(bot=st.integers(0, 600), workspace=st.integers(0, 400))
    def change_limits(self, bot: int, workspace: int) -> None:
        self.limits = Limits(100, bot, user_month=150, workspace_month=workspace)

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now = self.now + timedelta(hours=hours)

    @invariant()
    def the_books_agree(self) -> None:
        self.do(self.check())

    async def hold(self, user: User, amount: int) -> tuple[str, int] | None:
        row = job(user=user)
        try:
            async with self.database.write() as tx:
                await tx.jobs.add(row)
                await self.ledger.hold(tx, row.id, user, amount, self.limits, self.now)
        except (OutOfCredits, BudgetSpent):
            return None
        self.held[row.id] = amount
        return row.id, amount

    async def holds_at_once(self, asks: list[tuple[User, int]]) -> list[tuple[str, int] | None]:
        return list(await asyncio.gather(*(self.hold(user, amount) for user, amount in asks)))

    async def settle(self, job_id: str, cost: int) -> int:
        async with self.database.write() as tx:
            return await self.ledger.settle(tx, job_id, cost, self.now)

    async def settle_twice(self, job_id: str, cost: int) -> None:
        done = await asyncio.gather(self.settle(job_id, cost), self.settle(job_id, cost), return_exceptions=True)
        assert any(isinstance(paid, int) for paid in done)

    async def release(self, job_id: str, real_cost: int) -> None:
        async with self.database.write() as tx:
            await self.ledger.release(tx, job_id, real_cost, self.now)

    async def granted(self, user: User, amount: int) -> None:
        wallet = granted_wallet(user.platform, user.workspace, user.id)
        async with self.database.write() as tx:
            opening = Entry(wallet.id, EntryKind.GRANT, 0, 0, f"open:{wallet.id}", "mod", self.now)
            await tx.ledger.open(wallet, opening)
            entry = Entry(wallet.id, EntryKind.GRANT, amount, 0, f"grant:{next(self.keys)}", "mod", self.now)
            await tx.ledger.append([entry])

    async def holders(self) -> list[str]:
        async with self.database.read() as tx:
            return await tx.ledger.jobs_with_open_holds()

    async def check(self) -> None:
        """Every account is the sum of its rows, within its bounds; every job is held or paid, never both."""
        async with self.database.read() as tx:
            assert set(await tx.ledger.jobs_with_open_holds()) == set(self.held)
            for job_id in [*self.held, *self.paid]:
                await self.check_job(job_id, await tx.ledger.entries_of_job(job_id))
            for account_id in self.accounts:
                account = await tx.ledger.get(account_id)
                entries = await tx.ledger.entries([account_id])
                assert account is not None
                assert account.balance == sum(entry.balance_delta for entry in entries)
                assert account.held == sum(entry.held_delta for entry in entries)
                assert 0 <= account.held <= account.balance

    async def check_job(self, job_id: str, entries: list[Entry]) -> None:
        self.accounts |= {entry.account for entry in entries}
        wallets = [entry for entry in entries if entry.account.startswith("wallet:")]
        held = sum(entry.held_delta for entry in wallets)
        spent = -sum(entry.balance_delta for entry in wallets)
        assert (held, spent) == ((self.held[job_id], 0) if job_id in self.held else (0, self.paid[job_id]))
        closes = [entry.account for entry in entries if entry.kind in (EntryKind.SETTLE, EntryKind.RELEASE)]
        assert len(closes) == len(set(closes))


def test_on_sqlite() -> None:
    class OnSqlite(LedgerMachine):
        async def opened(self) -> SqlDatabase:
            self.folder = TemporaryDirectory()
            database = SqlDatabase(f"sqlite:///{(Path(self.folder.name) / 'a.db').as_posix()}")
            await database.open()
            return database

        def teardown(self) -> None:
            super().teardown()
            self.folder.cleanup()

    run_state_machine_as_test(OnSqlite, settings=_bounds(15))


@pytest.mark.postgres
def test_on_postgres(postgres_with_schema: PostgresServer) -> None:
    class OnPostgres(LedgerMachine):
        async def opened(self) -> SqlDatabase:
            await postgres_with_schema.empty(WITH_SCHEMA)
            database = SqlDatabase(postgres_with_schema.url(WITH_SCHEMA))
            await database.open()
            return database

    run_state_machine_as_test(OnPostgres, settings=_bounds(8))


def _bounds(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=checks)


@pytest.fixture
async def database(database_url: str) -> Any:
    opened = SqlDatabase(database_url)
    await opened.open()
    yield opened
    await opened.close()


async def ask(database: SqlDatabase, amount: int, limits: Limits) -> None:
    """Ana asks for something that costs `amount`."""
    async with database.write() as tx:
        row = job()
        await tx.jobs.add(row)
        await Ledger(CreditForm(1)).hold(tx, row.id, USERS[0], amount, limits, NOW)


async def test_forty_ask_against_money_for_five(database: SqlDatabase) -> None:
    limits = Limits(daily_allowance=50, bot_month=1_000)

    asked = await asyncio.gather(*(ask(database, 10, limits) for _ in range(40)), return_exceptions=True)

    assert [type(answer) for answer in asked].count(type(None)) == 5
    assert [type(answer) for answer in asked].count(OutOfCredits) == 35


async def test_a_budget_without_room_is_named(database: SqlDatabase) -> None:
    with pytest.raises(BudgetSpent) as caught:
        await ask(database, 30, Limits(daily_allowance=50, bot_month=20))

    assert str(caught.value) == (
        "The bot's monthly budget has no room for this: 10 credits short. It refills on 01 December at 00:00 UTC."
    )


async def test_a_refill_is_promised_only_where_it_helps(database: SqlDatabase) -> None:
    limits = Limits(daily_allowance=50, bot_month=1_000)
    await ask(database, 20, limits)

    with pytest.raises(OutOfCredits, match=r"You are 10 credits short. They refill Saturday at 00:00 UTC."):
        await ask(database, 40, limits)
    with pytest.raises(OutOfCredits, match=r"You are 30 credits short. Ask a moderator for more."):
        await ask(database, 60, limits)
