"""A test bench of the real credits on a real database: jobs and runs are rows, and tests move the clock."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from bot.core.errors import BudgetExceeded, LimitReached, OutOfCredits, RequestRefused
from bot.core.ids import new_id
from bot.core.jobs import Job, JobState, PredictionRecord
from bot.core.json import JSON
from bot.core.models import Metric, Model, OutputKind, Price, PriceTier, Task
from bot.core.people import User
from bot.credits.alerts import BudgetAlert
from bot.credits.credits import Credits
from bot.credits.limits import (
    BOT_MONTH,
    BOT_TARGET,
    NO_DEFAULTS,
    WORKSPACE_MONTH,
    DefaultLimits,
    Policies,
    PolicyTarget,
)
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database
from tests.fakes.samples import NOW, make_job

WORKSPACE_TARGET = PolicyTarget("web", "page", "workspace")
OWNER = User("web", "page", "owner", "You", is_owner=True)
PENCIL = Model(
    "pencil",
    title="Pencil",
    task=Task.IMAGINE,
    backend="replicate",
    ref="a/pencil",
    version="",
    output=OutputKind.PICTURES,
    price=Price((PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(1)),)),
    max_seconds=60,
    usual_seconds=1,
    inputs={},
)
REFUSALS = (OutOfCredits, BudgetExceeded, LimitReached, RequestRefused)


@dataclass
class JumpingClock:
    """A clock with a wall-clock time that may jump, also back; the monotonic time never jumps."""

    at: datetime = NOW
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        self.elapsed += 0.001
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("no code of the credits sleeps")

    def pass_time(self, duration: timedelta) -> None:
        self.at += duration
        self.elapsed += max(duration.total_seconds(), 0)


@dataclass
class CreditsBench:
    """The credits of one process on a database, and the alerts so far."""

    database: Database
    clock: JumpingClock = field(default_factory=JumpingClock)
    daily_micros: int = 100
    bot_month_micros: int = 10**9
    defaults: DefaultLimits = NO_DEFAULTS
    alerts: list[BudgetAlert] = field(default_factory=list)
    failure: Exception | None = None
    """The error that the alert sender raises."""
    keys: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start a new process, with empty caches."""
        policies = Policies(self.daily_micros, self.bot_month_micros, self.clock, self.defaults)
        self.credits = Credits(self.database, policies, CreditFormatter(1), self.clock, self._record_alert)

    async def _record_alert(self, alert: BudgetAlert) -> None:
        if self.failure is not None:
            raise self.failure
        self.alerts.append(alert)

    async def submit(self, user: User, amount_micros: int, **changes: object) -> Job:
        """Accept a job with a maximum cost, as the bot accepts jobs. Raise the error of a refusal."""
        now = self.clock.now()
        row = make_job(user=user, max_micros=amount_micros, created_at=now, updated_at=now, **changes)
        async with self.database.write() as tx:
            await tx.jobs.add(row)
            await self.credits.hold(tx, row, PENCIL)
        return row

    async def try_to_submit(self, user: User, amount_micros: int) -> Job | None:
        """Accept a job; return None for a refused job."""
        try:
            return await self.submit(user, amount_micros)
        except REFUSALS:
            return None

    async def start_run(self, row: Job) -> Job:
        """Start the run of a job; return the moved row."""
        record = PredictionRecord(new_id(), "replicate", "pencil", "f" * 64, {}, self.clock.now())
        async with self.database.write() as tx:
            await tx.predictions.add(record)
            moved = await tx.jobs.move(row, JobState.RUNNING, self.clock.now(), prediction=record.id)
        assert moved is not None
        return moved

    async def retry_run(self, row: Job, cost_micros: int) -> Job:
        """Fail the run of a job at a cost, and start a second run; return the moved row."""
        record = PredictionRecord(new_id(), "replicate", "pencil", "f" * 64, {}, self.clock.now())
        async with self.database.write() as tx:
            await tx.predictions.close(row.prediction, "failed", 1.0, cost_micros)
            await self.credits.ledger.record_lost_run(
                tx, row.id, row.user, row.prediction, cost_micros, self.clock.now()
            )
            await tx.predictions.add(record)
            moved = await tx.jobs.move(row, JobState.RUNNING, self.clock.now(), prediction=record.id)
        assert moved is not None
        return moved

    async def close_job(self, row: Job, real_cost_micros: int, state: JobState = JobState.FINISHED) -> int:
        """Close a job: settle a finished or cancelled job, release a failed job. Return the user's charge in micros."""
        now = self.clock.now()
        async with self.database.write(is_urgent=True) as tx:
            if state is JobState.FAILED:
                await self.credits.ledger.release(tx, row.id, row.user, real_cost_micros, now)
                paid = 0
            else:
                paid = await self.credits.ledger.settle(tx, row.id, real_cost_micros, now)
            if row.prediction:
                await tx.predictions.close(row.prediction, state.value, 1.0, real_cost_micros)
            if await tx.jobs.move(row, state, now, cost_micros=paid) is None:
                raise LookupError("another worker closed the job")
        return paid

    async def spend(self, user: User, amount_micros: int) -> None:
        """Accept, run and settle a job at its maximum cost."""
        await self.close_job(await self.start_run(await self.submit(user, amount_micros)), amount_micros)

    async def read_workspace_spending(self, job: str) -> int | None:
        """Return the spending of the workspace's budget that a job held on; None without such a hold."""
        async with self.database.read() as tx:
            held = {entry.account for entry in await tx.ledger.list_job_entries(job)}
            accounts = [await tx.ledger.get_account(account) for account in held]
        return next((a.spent_micros for a in accounts if a is not None and a.scope == "workspace"), None)

    async def record_users(self, *users: User) -> None:
        """Store users, so that moderators can name the users."""
        async with self.database.write() as tx:
            for user in users:
                await tx.people.upsert_user(user, self.clock.now())

    async def set_role(self, role: str, values: Mapping[str, JSON]) -> None:
        await self.credits.change(replace(WORKSPACE_TARGET, scope="role", id=role), values, OWNER)

    async def set_person(self, user: User, values: Mapping[str, JSON]) -> None:
        await self.credits.change(replace(WORKSPACE_TARGET, scope="user", id=user.id), values, OWNER)

    async def set_budget(self, amount_micros: int | None) -> None:
        await self.credits.change(WORKSPACE_TARGET, {WORKSPACE_MONTH: amount_micros}, OWNER)

    async def set_bot_budget(self, amount_micros: int | None) -> None:
        await self.credits.change(BOT_TARGET, {BOT_MONTH: amount_micros}, OWNER)

    async def wait_for_alerts(self) -> None:
        """Wait until all alerts are sent or dropped."""
        await asyncio.wait_for(self.credits.alerts.wait_until_idle(), 10)

    def key(self) -> str:
        return f"web:{next(self.keys)}"
