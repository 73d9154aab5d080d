"""A state machine of concurrent users: in any history, money is neither created nor lost nor spent twice."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

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
from bot.credits.ledger import Ledger, verify_ledger
from bot.credits.limits import AT_ONCE, DAILY_ALLOWANCE, PER_MINUTE, USER_DAY, USER_MONTH, DefaultLimits, UserLimits
from bot.credits.pricing import CreditFormatter, compute_cost_micros, estimate_cost
from bot.storage.database import Database
from tests.conftest import WITH_SCHEMA
from tests.credits.bench import OWNER, CreditsBench
from tests.credits.price_tables import PricedRun, priced_runs
from tests.fakes.samples import MODERATOR, NOW, make_job
from tests.postgres import PostgresServer
from tests.storage.raw import list_jobs_with_open_holds

FAILED_RUNS_MICROS = 120
JOBS_AT_ONCE, JOBS_PER_MINUTE = 6, 20

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
    """One submitted job, accepted or refused.

    Hypothesis needs the same draws in each replay. Of simultaneous jobs, the accepted differ between replays, so the
    bundle keeps refused submissions too.
    """

    row: Job | None


class LedgerMachine(RuleBasedStateMachine):
    """Submits, closes, grants and changed limits, one by one and simultaneously, at any time of any year."""

    submissions: Bundle[Submission] = Bundle("submissions")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        defaults = DefaultLimits(JOBS_AT_ONCE, JOBS_PER_MINUTE, FAILED_RUNS_MICROS)
        self.bench = CreditsBench(self.run(self.open_database()), bot_month_micros=500, defaults=defaults)
        self.open: set[str] = set()
        # The owner's cost of failed runs as the rules caused them: by user and month, and by user and day less resets.
        self.failed_by_month: Counter[tuple[str, str]] = Counter()
        self.failed_by_day: Counter[tuple[str, str]] = Counter()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def open_database(self) -> Database:
        raise NotImplementedError

    def teardown(self) -> None:
        # After each step only the new rows were read: all rows together agree as well.
        self.run(self.verify(is_complete=True))
        self.run(self.close_database())
        self.runner.close()

    async def close_database(self) -> None:
        await self.bench.wait_for_alerts()
        await self.bench.database.close()

    @initialize()
    def set_up_tiers(self) -> None:
        self.run(self.bench.record_users(*USERS))
        self.run(self.bench.set_role("gold", {DAILY_ALLOWANCE: 150}))
        self.run(self.bench.set_role("tin", {DAILY_ALLOWANCE: 40}))
        self.run(self.bench.set_budget(300))
        for user in USERS:
            self.run(self.bench.credits.wallets.grant(OWNER, user, 30, self.bench.key(), is_owner=True))

    @rule(target=submissions, user=users, amount=amounts)
    def submit_and_start(self, user: User, amount: int) -> Any:
        submission = self.run(self.try_to_submit(user, amount))
        if amount and self.failed_by_day[user.id, f"{self.bench.clock.now():%Y-%m-%d}"] >= FAILED_RUNS_MICROS:
            assert submission.row is None
        self.start(submission)
        return submission

    @rule(target=submissions, requests=st.lists(st.tuples(users, amounts), min_size=2, max_size=6))
    def submit_many_at_once(self, requests: list[tuple[User, int]]) -> Any:
        return multiple(*self.run(self.gather_all([self.try_to_submit(user, amount) for user, amount in requests])))

    @rule(submission=submissions)
    def start_later(self, submission: Submission) -> None:
        self.start(submission)

    def start(self, submission: Submission) -> None:
        if submission.row is not None and not submission.row.prediction:
            submission.row = self.run(self.bench.start_run(submission.row))

    @rule(submission=submissions, cost=st.integers(0, 90))
    def fail_and_retry(self, submission: Submission, cost: int) -> None:
        if submission.row is not None and submission.row.prediction:
            row, before = submission.row, self.read_workspace_spending(submission.row)
            submission.row = self.run(self.bench.retry_run(submission.row, cost))
            self.count_failed_run(row.user, cost)
            assert self.read_workspace_spending(row) == (None if before is None else before + cost)

    @rule(
        submission=consumes(submissions),
        cost=st.one_of(st.integers(0, 90), st.integers(100, 700)),
        state=st.sampled_from([JobState.FINISHED, JobState.FAILED, JobState.CANCELLED]),
    )
    def close(self, submission: Submission, cost: int, state: JobState) -> None:
        if (row := submission.row) is not None:
            cost = cost if row.prediction else 0
            before = self.read_workspace_spending(row)
            paid = self.run(self.bench.close_job(row, cost, state))
            if state is JobState.FAILED:
                self.count_failed_run(row.user, cost)
            counted = cost if state is JobState.FAILED else paid
            assert self.read_workspace_spending(row) == (None if before is None else before + counted)
            assert paid == (0 if state is JobState.FAILED else min(cost, row.max_micros))
            self.open.discard(row.id)

    @rule(submission=consumes(submissions), cost=st.integers(0, 60))
    def close_twice_at_once(self, submission: Submission, cost: int) -> None:
        """Let two workers close a job after a takeover: one of the two succeeds."""
        if (row := submission.row) is not None:
            results = self.run(
                self.gather_all([self.bench.close_job(row, cost if row.prediction else 0) for _ in range(2)])
            )
            assert [isinstance(paid, int) for paid in results].count(True) == 1
            self.open.discard(row.id)

    @rule(user=users, run=priced_runs(highest_rate=4, overrun=2.0))
    def run_at_a_tiered_price(self, user: User, run: PricedRun) -> None:
        """Hold the maximum of a random price table, and settle the metered cost: the rest of an overrun is booked."""
        row = self.run(self.try_to_submit(user, estimate_cost(run.model, run.inputs).max_micros)).row
        if row is not None:
            cost = compute_cost_micros(run.model, run.inputs, run.metrics, run.output)
            before = self.run(self.read_bot_spending())
            paid = self.run(self.bench.close_job(self.run(self.bench.start_run(row)), cost))
            assert paid == min(cost, row.max_micros)
            assert cost <= row.max_micros or not run.is_within_bounds
            assert self.run(self.read_bot_spending()) == before + cost
            self.open.discard(row.id)

    async def read_bot_spending(self) -> int:
        return (await self.bench.credits.get_bot_budget_status()).spent_micros

    @rule(user=users, amount=st.integers(1, 90))
    def grant(self, user: User, amount: int) -> None:
        self.run(self.bench.credits.wallets.grant(OWNER, user, amount, self.bench.key(), is_owner=True))

    @rule(grants=st.lists(st.tuples(users, st.integers(1, 90)), min_size=1, max_size=4))
    def promise_many_at_once(self, grants: list[tuple[User, int]]) -> None:
        """Let moderators grant simultaneously: together they promise no more than workspace and bot have left."""
        left = self.run(self.read_left_micros())
        promised = self.run(self.read_promised_micros())
        wallets = self.bench.credits.wallets
        works = [wallets.grant(MODERATOR, user, amount, self.bench.key()) for user, amount in grants]
        results = self.run(self.gather_all(works))
        accepted = sum(amount for (_, amount), result in zip(grants, results, strict=True) if isinstance(result, int))
        refused = [amount for (_, amount), result in zip(grants, results, strict=True) if not isinstance(result, int)]
        assert {type(result) for result in results} <= {int, BadOption}
        assert self.run(self.read_promised_micros()) == promised + accepted
        assert not accepted or promised + accepted <= left
        assert all(promised + accepted + amount > left for amount in refused)

    async def read_left_micros(self) -> int:
        """Return the rest of the workspace's budget and of the bot's, whichever is less."""
        credits_ = self.bench.credits
        statuses = [await credits_.get_workspace_budget_status("web", "page"), await credits_.get_bot_budget_status()]
        return min(s.limit_micros - s.spent_micros - s.held_micros for s in statuses if s.limit_micros is not None)

    async def read_promised_micros(self) -> int:
        return sum([(await self.bench.credits.get_statement(user)).extra_available_micros for user in USERS])

    @rule(user=users, amount=st.integers(1, 80))
    def take(self, user: User, amount: int) -> None:
        has = self.run(self.bench.credits.get_statement(user)).extra_available_micros
        try:
            left = self.run(self.bench.credits.wallets.take(OWNER, user, amount, self.bench.key()))
        except BadOption:
            assert amount > has
        else:
            assert left == has - amount

    @rule(user=users, with_month=st.booleans())
    def reset(self, user: User, with_month: bool) -> None:
        before = self.run(self.bench.credits.get_statement(user))
        wallets = self.bench.credits.wallets
        restored_micros = self.run(wallets.reset(OWNER, user, with_month=with_month, request_key=self.bench.key()))
        after = self.run(self.bench.credits.get_statement(user))
        self.failed_by_day[user.id, f"{self.bench.clock.now():%Y-%m-%d}"] = 0
        assert (
            before.today_available_micros
            <= after.today_available_micros
            <= before.today_available_micros + restored_micros
        )

    @rule(bot=st.integers(0, 600), workspace=limits)
    def change_budgets(self, bot: int, workspace: int | None) -> None:
        self.run(self.bench.set_bot_budget(bot))
        self.run(self.bench.set_budget(workspace))

    @rule(user=users, day=limits, month=limits, at_once=limits, per_minute=st.one_of(st.none(), st.integers(0, 5)))
    def set_user_limits(
        self, user: User, day: int | None, month: int | None, at_once: int | None, per_minute: int | None
    ) -> None:
        values = {USER_DAY: day, USER_MONTH: month, AT_ONCE: at_once, PER_MINUTE: per_minute}
        self.run(self.bench.set_person(user, values))

    @rule(gold=limits, tin=limits)
    def change_tiers_at_once(self, gold: int | None, tin: int | None) -> None:
        self.run(
            self.gather_all(
                [
                    self.bench.set_role("gold", {DAILY_ALLOWANCE: gold}),
                    self.bench.set_role("gold", {DAILY_ALLOWANCE: tin}),
                    self.bench.set_role("tin", {DAILY_ALLOWANCE: tin}),
                ]
            )
        )

    @rule(hours=st.integers(-30, 30))
    def pass_time(self, hours: int) -> None:
        self.bench.clock.pass_time(timedelta(hours=hours))

    @rule(moment=st.sampled_from(MOMENTS))
    def jump_clock(self, moment: datetime) -> None:
        self.bench.clock.at = moment

    @rule()
    def restart(self) -> None:
        self.run(self.bench.wait_for_alerts())
        self.bench.restart()

    @invariant()
    def verify_invariants(self) -> None:
        self.run(self.check())

    def count_failed_run(self, user: User, cost: int) -> None:
        self.failed_by_month[user.id, f"{self.bench.clock.now():%Y-%m}"] += cost
        self.failed_by_day[user.id, f"{self.bench.clock.now():%Y-%m-%d}"] += cost

    def read_workspace_spending(self, row: Job) -> int | None:
        """Return the spending of the workspace's budget that a job holds on; None without such a hold."""
        return cast("int | None", self.run(self.bench.read_workspace_spending(row.id)))

    async def try_to_submit(self, user: User, amount: int) -> Submission:
        row = await self.bench.try_to_submit(user, amount)
        if row is not None:
            self.open.add(row.id)
        return Submission(row)

    async def gather_all(self, works: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        return list(await asyncio.gather(*works, return_exceptions=True))

    async def verify(self, *, is_complete: bool) -> None:
        report = await verify_ledger(self.bench.database, self.bench.clock.now(), is_complete=is_complete)
        assert report.discrepancies == ()

    async def check(self) -> None:
        """Check that ledger, accounts, jobs and predictions agree, open jobs alone hold money, and no alert repeats."""
        await self.bench.wait_for_alerts()
        await self.verify(is_complete=False)
        assert set(await list_jobs_with_open_holds(self.bench.database)) == self.open
        alerts = [(alert.scope, alert.refills_at, alert.limit_micros, alert.percent) for alert in self.bench.alerts]
        assert len(alerts) == len(set(alerts))
        month = f"{self.bench.clock.now():%Y-%m}"
        spenders = await self.bench.credits.list_spenders(OWNER, len(USERS))
        failed = {spender.id: spender.failed_micros for spender in spenders if spender.failed_micros}
        assert failed == {user.id: cost for user in USERS if (cost := self.failed_by_month[user.id, month])}


def test_the_ledger_stays_consistent_on_sqlite() -> None:
    class OnSqlite(LedgerMachine):
        async def open_database(self) -> Database:
            self.folder = TemporaryDirectory()
            database = Database(f"sqlite:///{(Path(self.folder.name) / 'a.db').as_posix()}")
            await database.open()
            return database

        def teardown(self) -> None:
            super().teardown()
            self.folder.cleanup()

    run_state_machine_as_test(OnSqlite, settings=make_settings(12))


@pytest.mark.postgres
def test_the_ledger_stays_consistent_on_postgresql(postgres_with_schema: PostgresServer) -> None:
    class OnPostgres(LedgerMachine):
        async def open_database(self) -> Database:
            await postgres_with_schema.delete_rows(WITH_SCHEMA)
            database = Database(postgres_with_schema.url(WITH_SCHEMA))
            await database.open()
            return database

    run_state_machine_as_test(OnPostgres, settings=make_settings(6))


def make_settings(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=checks)


async def submit(database: Database, amount: int, limits: UserLimits) -> None:
    """Accept a job of Ana with a maximum cost."""
    async with database.write() as tx:
        row = make_job()
        await tx.jobs.add(row)
        ledger = Ledger(CreditFormatter(1))
        accounts = await ledger.open_accounts(tx, USERS[0], limits, NOW)
        await ledger.hold_on_accounts(tx, accounts, row.id, USERS[0], amount, limits, NOW)


async def test_of_forty_simultaneous_requests_five_fit_the_wallet(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=50, bot_month_micros=1_000)

    submissions = await asyncio.gather(*(submit(database, 10, limits) for _ in range(40)), return_exceptions=True)

    assert [type(result) for result in submissions].count(type(None)) == 5
    assert [type(result) for result in submissions].count(OutOfCredits) == 35


async def test_of_forty_simultaneous_users_five_fit_the_budget(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(50)
    people = [User("web", "page", f"p{n}", f"P{n}") for n in range(40)]

    submissions = await asyncio.gather(*(credits_bench.submit(person, 10) for person in people), return_exceptions=True)

    assert [type(result) for result in submissions].count(Job) == 5
    assert [type(result) for result in submissions].count(BudgetExceeded) == 35


async def test_a_refusal_names_the_budget_and_its_refill(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=100, bot_month_micros=40)
    await submit(database, 20, limits)

    with pytest.raises(BudgetExceeded) as caught:
        await submit(database, 30, limits)
    with pytest.raises(BudgetExceeded, match="21 credits short. Even all of it would not do"):
        await submit(database, 41, limits)

    assert str(caught.value) == (
        "The bot's monthly budget has no room for this: 10 credits short. It refills on 01 December at 00:00 UTC."
    )


async def test_a_refusal_names_the_refill_only_if_the_refill_helps(database: Database) -> None:
    limits = UserLimits(daily_allowance_micros=50, bot_month_micros=1_000)
    await submit(database, 20, limits)

    with pytest.raises(OutOfCredits, match=r"You are 10 credits short. They refill Saturday at 00:00 UTC."):
        await submit(database, 40, limits)
    with pytest.raises(OutOfCredits, match=r"You are 30 credits short. Ask a moderator for more."):
        await submit(database, 60, limits)
