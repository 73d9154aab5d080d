"""A machine of many hands at the money: whatever they do at once, it is never created, lost or spent twice."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

from bot.core.errors import BadOption, BudgetExceeded, OutOfCredits
from bot.core.jobs import Job, JobState
from bot.core.people import User
from bot.credits.ledger import Ledger
from bot.credits.limits import AT_ONCE, DAILY_ALLOWANCE, PER_MINUTE, USER_DAY, USER_MONTH, UserLimits
from bot.credits.pricing import CreditFormatter
from bot.credits.verification import verify_ledger
from bot.storage.database import Database
from tests.conftest import WITH_SCHEMA
from tests.credits.bench import OWNER, CreditsBench
from tests.fakes.samples import NOW, make_job
from tests.postgres import PostgresServer
from tests.storage.raw import jobs_with_open_holds

GOLD, TIN = frozenset({"gold"}), frozenset({"tin"})
USERS = [
    User("web", "page", "ana", "Ana"),
    User("web", "page", "ben", "Ben", roles=GOLD),
    User("web", "page", "cleo", "Cleo", roles=TIN),
    User("web", "page", "dora", "Dora", roles=GOLD | TIN),
]
MOMENTS = [
    datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC),  # summer time begins in Berlin
    datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),  # and ends: also a jump back
]
amounts = st.one_of(st.integers(0, 60), st.integers(100, 150))
users = st.sampled_from(USERS)
limits = st.one_of(st.none(), st.integers(0, 200))


@dataclass(eq=False)
class Submission:
    """One ask, let in or not: of several at once that differs from run to run, and what is drawn next must not."""

    row: Job | None


class LedgerMachine(RuleBasedStateMachine):
    """Asks, ends, grants and changed limits, one by one and all at once, at any time of any year."""

    asked: Bundle[Submission] = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.town = CreditsBench(self.do(self.open_database()), bot_month_micros=500)
        self.open: set[str] = set()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def open_database(self) -> Database:
        raise NotImplementedError

    def teardown(self) -> None:
        self.do(self.close_database())
        self.runner.close()

    async def close_database(self) -> None:
        await self.town.wait_for_alerts()
        await self.town.database.close()

    @initialize()
    def tiers(self) -> None:
        self.do(self.town.record_users(*USERS))
        self.do(self.town.set_role("gold", {DAILY_ALLOWANCE: 150}))
        self.do(self.town.set_role("tin", {DAILY_ALLOWANCE: 40}))
        self.do(self.town.set_budget(300))
        for user in USERS:
            self.do(self.town.credits.wallets.grant(OWNER, user, 30, self.town.key(), is_owner=True))

    @rule(target=asked, user=users, amount=amounts)
    def ask_and_begin(self, user: User, amount: int) -> Any:
        ask = self.do(self.try_to_ask(user, amount))
        self.begin(ask)
        return ask

    @rule(target=asked, asks=st.lists(st.tuples(users, amounts), min_size=2, max_size=6))
    def many_ask_at_once(self, asks: list[tuple[User, int]]) -> Any:
        return multiple(*self.do(self.gather_all([self.try_to_ask(user, amount) for user, amount in asks])))

    @rule(ask=asked)
    def begin_later(self, ask: Submission) -> None:
        self.begin(ask)

    def begin(self, ask: Submission) -> None:
        if ask.row is not None and not ask.row.prediction:
            ask.row = self.do(self.town.start_run(ask.row))

    @rule(ask=asked, cost=st.integers(0, 90))
    def fail_and_try_again(self, ask: Submission, cost: int) -> None:
        if ask.row is not None and ask.row.prediction:
            ask.row = self.do(self.town.retry_run(ask.row, cost))

    @rule(
        ask=consumes(asked),
        cost=st.one_of(st.integers(0, 90), st.integers(100, 700)),
        state=st.sampled_from([JobState.FINISHED, JobState.FAILED, JobState.CANCELLED]),
    )
    def end(self, ask: Submission, cost: int, state: JobState) -> None:
        if (row := ask.row) is not None:
            cost = cost if row.prediction else 0
            paid = self.do(self.town.close_job(row, cost, state))
            assert paid == (0 if state is JobState.FAILED else min(cost, row.max_micros))
            self.open.discard(row.id)

    @rule(ask=consumes(asked), cost=st.integers(0, 60))
    def end_twice_at_once(self, ask: Submission, cost: int) -> None:
        """A worker and the one that took its job over both end it: it is ended once."""
        if (row := ask.row) is not None:
            done = self.do(self.gather_all([self.town.close_job(row, cost if row.prediction else 0) for _ in range(2)]))
            assert [isinstance(paid, int) for paid in done].count(True) == 1
            self.open.discard(row.id)

    @rule(user=users, amount=st.integers(1, 90))
    def grant(self, user: User, amount: int) -> None:
        self.do(self.town.credits.wallets.grant(OWNER, user, amount, self.town.key(), is_owner=True))

    @rule(user=users, amount=st.integers(1, 80))
    def take(self, user: User, amount: int) -> None:
        has = self.do(self.town.credits.get_statement(user)).extra_available_micros
        try:
            left = self.do(self.town.credits.wallets.take(OWNER, user, amount, self.town.key()))
        except BadOption:
            assert amount > has
        else:
            assert left == has - amount

    @rule(user=users, with_month=st.booleans())
    def reset(self, user: User, with_month: bool) -> None:
        before = self.do(self.town.credits.get_statement(user))
        wallets = self.town.credits.wallets
        forgiven = self.do(wallets.reset(OWNER, user, with_month=with_month, request_key=self.town.key()))
        after = self.do(self.town.credits.get_statement(user))
        assert before.today_available_micros <= after.today_available_micros <= before.today_available_micros + forgiven

    @rule(bot=st.integers(0, 600), workspace=limits)
    def change_budgets(self, bot: int, workspace: int | None) -> None:
        self.do(self.town.set_bot_budget(bot))
        self.do(self.town.set_budget(workspace))

    @rule(user=users, day=limits, month=limits, at_once=limits, per_minute=st.one_of(st.none(), st.integers(0, 5)))
    def limit(
        self, user: User, day: int | None, month: int | None, at_once: int | None, per_minute: int | None
    ) -> None:
        values = {USER_DAY: day, USER_MONTH: month, AT_ONCE: at_once, PER_MINUTE: per_minute}
        self.do(self.town.set_person(user, values))

    @rule(gold=limits, tin=limits)
    def two_change_tiers_at_once(self, gold: int | None, tin: int | None) -> None:
        self.do(
            self.gather_all(
                [
                    self.town.set_role("gold", {DAILY_ALLOWANCE: gold}),
                    self.town.set_role("gold", {DAILY_ALLOWANCE: tin}),
                    self.town.set_role("tin", {DAILY_ALLOWANCE: tin}),
                ]
            )
        )

    @rule(hours=st.integers(-30, 30))
    def time_passes_or_jumps_back(self, hours: int) -> None:
        self.town.clock.pass_time(timedelta(hours=hours))

    @rule(moment=st.sampled_from(MOMENTS))
    def the_clock_jumps(self, moment: datetime) -> None:
        self.town.clock.at = moment

    @rule()
    def restart(self) -> None:
        self.do(self.town.wait_for_alerts())
        self.town.restart()

    @invariant()
    def the_books_agree(self) -> None:
        self.do(self.check())

    async def try_to_ask(self, user: User, amount: int) -> Submission:
        row = await self.town.try_to_submit(user, amount)
        if row is not None:
            self.open.add(row.id)
        return Submission(row)

    async def gather_all(self, works: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        return list(await asyncio.gather(*works, return_exceptions=True))

    async def check(self) -> None:
        """Ledger = accounts = jobs = predictions; money is held for what is open; nothing is told twice."""
        await self.town.wait_for_alerts()
        proof = await verify_ledger(self.town.database)
        assert proof.discrepancies == ()
        assert set(await jobs_with_open_holds(self.town.database)) == self.open
        told = [(alert.scope, alert.refills_at, alert.limit_micros, alert.percent) for alert in self.town.alerts]
        assert len(told) == len(set(told))


def test_on_sqlite() -> None:
    class OnSqlite(LedgerMachine):
        async def open_database(self) -> Database:
            self.folder = TemporaryDirectory()
            database = Database(f"sqlite:///{(Path(self.folder.name) / 'a.db').as_posix()}")
            await database.open()
            return database

        def teardown(self) -> None:
            super().teardown()
            self.folder.cleanup()

    run_state_machine_as_test(OnSqlite, settings=_bounds(12))


@pytest.mark.postgres
def test_on_postgres(postgres_with_schema: PostgresServer) -> None:
    class OnPostgres(LedgerMachine):
        async def open_database(self) -> Database:
            await postgres_with_schema.delete_rows(WITH_SCHEMA)
            database = Database(postgres_with_schema.url(WITH_SCHEMA))
            await database.open()
            return database

    run_state_machine_as_test(OnPostgres, settings=_bounds(6))


def _bounds(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=checks)


async def ask(database: Database, amount: int, limits: UserLimits) -> None:
    """Ana asks for something that costs `amount`."""
    async with database.write() as tx:
        row = make_job()
        await tx.jobs.add(row)
        ledger = Ledger(CreditFormatter(1))
        accounts = await ledger.open_accounts(tx, USERS[0], limits, NOW)
        await ledger.hold_on_accounts(tx, accounts, row.id, USERS[0], amount, limits, NOW)


async def test_forty_ask_against_money_for_five(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=50, bot_month_micros=1_000)

    asked = await asyncio.gather(*(ask(database, 10, limits) for _ in range(40)), return_exceptions=True)

    assert [type(answer) for answer in asked].count(type(None)) == 5
    assert [type(answer) for answer in asked].count(OutOfCredits) == 35


async def test_forty_people_ask_against_a_budget_for_five(town: CreditsBench) -> None:
    await town.set_budget(50)
    people = [User("web", "page", f"p{n}", f"P{n}") for n in range(40)]

    asked = await asyncio.gather(*(town.submit(person, 10) for person in people), return_exceptions=True)

    assert [type(answer) for answer in asked].count(Job) == 5
    assert [type(answer) for answer in asked].count(BudgetExceeded) == 35


async def test_a_budget_without_room_is_named(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=100, bot_month_micros=40)
    await ask(database, 20, limits)

    with pytest.raises(BudgetExceeded) as caught:
        await ask(database, 30, limits)
    with pytest.raises(BudgetExceeded, match="21 credits short. Even all of it would not do"):
        await ask(database, 41, limits)

    assert str(caught.value) == (
        "The bot's monthly budget has no room for this: 10 credits short. It refills on 01 December at 00:00 UTC."
    )


async def test_a_refill_is_promised_only_where_it_helps(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=50, bot_month_micros=1_000)
    await ask(database, 20, limits)

    with pytest.raises(OutOfCredits, match=r"You are 10 credits short. They refill Saturday at 00:00 UTC."):
        await ask(database, 40, limits)
    with pytest.raises(OutOfCredits, match=r"You are 30 credits short. Ask a moderator for more."):
        await ask(database, 60, limits)
