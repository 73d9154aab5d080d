"""A town of askers and moderators around the real credits: jobs and runs are rows, and the clock is moved by hand."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.errors import BudgetExceeded, LimitReached, OutOfCredits, RequestRefused
from bot.core.ids import new_id
from bot.core.jobs import Job, JobState, PredictionRecord
from bot.core.json import JSON
from bot.core.models import Model, OutputKind, Price, PriceUnit, Task
from bot.core.people import User
from bot.credits.alerts import BudgetAlert
from bot.credits.credits import Credits
from bot.credits.limits import BOT_MONTH, WORKSPACE_MONTH
from bot.credits.policies import BOT_TARGET, Policies, PolicyTarget
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
    price=Price(PriceUnit.IMAGE, micros_per_image=1),
    max_seconds=60,
    usual_seconds=1,
    inputs={},
)
REFUSALS = (OutOfCredits, BudgetExceeded, LimitReached, RequestRefused)


@dataclass
class JumpingClock:
    """Time as the town has it: it may jump, also back; the monotonic clock never does."""

    at: datetime = NOW
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        self.elapsed += 0.001
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")

    def pass_time(self, span: timedelta) -> None:
        self.at += span
        self.elapsed += max(span.total_seconds(), 0)


@dataclass
class CreditsBench:
    """The credits of one process on a database, and what it has told."""

    database: Database
    clock: JumpingClock = field(default_factory=JumpingClock)
    daily_micros: int = 100
    bot_month_micros: int = 10**9
    alerts: list[BudgetAlert] = field(default_factory=list)
    failure: Exception | None = None
    """Raised instead of hearing an alert."""
    keys: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process begins: it remembers nothing."""
        policies = Policies(self.daily_micros, self.bot_month_micros, self.clock)
        self.credits = Credits(self.database, policies, CreditFormatter(1), self.clock, self._record_alert)

    async def _record_alert(self, alert: BudgetAlert) -> None:
        if self.failure is not None:
            raise self.failure
        self.alerts.append(alert)

    async def submit(self, user: User, amount_micros: int, **changes: object) -> Job:
        """A job that may cost `amount`, accepted as the bot accepts it; raises what refuses it."""
        now = self.clock.now()
        row = make_job(user=user, max_micros=amount_micros, created_at=now, updated_at=now, **changes)
        async with self.database.write() as tx:
            await tx.jobs.add(row)
            await self.credits.hold(tx, row, PENCIL)
        return row

    async def try_to_submit(self, user: User, amount_micros: int) -> Job | None:
        """The same; None where it was refused."""
        try:
            return await self.submit(user, amount_micros)
        except REFUSALS:
            return None

    async def start_run(self, row: Job) -> Job:
        """Its run begins."""
        record = PredictionRecord(new_id(), "replicate", "pencil", "f" * 64, {}, self.clock.now())
        async with self.database.write() as tx:
            await tx.predictions.add(record)
            moved = await tx.jobs.move(row, JobState.RUNNING, self.clock.now(), prediction=record.id)
        assert moved is not None
        return moved

    async def retry_run(self, row: Job, cost_micros: int) -> Job:
        """Its run failed of something passing, after that much was spent on it: another one begins."""
        record = PredictionRecord(new_id(), "replicate", "pencil", "f" * 64, {}, self.clock.now())
        async with self.database.write() as tx:
            await tx.predictions.close(row.prediction, "failed", 1.0, cost_micros)
            await self.credits.ledger.record_lost_run(tx, row.id, row.prediction, cost_micros, self.clock.now())
            await tx.predictions.add(record)
            moved = await tx.jobs.move(row, JobState.RUNNING, self.clock.now(), prediction=record.id)
        assert moved is not None
        return moved

    async def close_job(self, row: Job, real_cost_micros: int, state: JobState = JobState.FINISHED) -> int:
        """It is over: paid for when it finished or was cancelled, given back when it failed. What the person paid."""
        now = self.clock.now()
        async with self.database.write(is_urgent=True) as tx:
            if state is JobState.FAILED:
                await self.credits.ledger.release(tx, row.id, real_cost_micros, now)
                paid = 0
            else:
                paid = await self.credits.ledger.settle(tx, row.id, real_cost_micros, now)
            if row.prediction:
                await tx.predictions.close(row.prediction, state.value, 1.0, real_cost_micros)
            if await tx.jobs.move(row, state, now, cost_micros=paid) is None:
                raise LookupError("somebody else ended it")
        return paid

    async def spend(self, user: User, amount_micros: int) -> None:
        """Ask, run and pay exactly that."""
        await self.close_job(await self.start_run(await self.submit(user, amount_micros)), amount_micros)

    async def record_users(self, *users: User) -> None:
        """They were here before, so that moderators can name them."""
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
        """Everything noticed is told."""
        await asyncio.wait_for(self.credits.alerts.wait_until_idle(), 10)

    def key(self) -> str:
        return f"web:{next(self.keys)}"
