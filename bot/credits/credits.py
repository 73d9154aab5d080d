"""The service of credits: permissions and holds of jobs, limits, budgets, and statements of users."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from bot.core.clock import Clock
from bot.core.jobs import Job, JobSummary
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.credits.accounts import (
    check_failed_runs,
    get_bot_budget,
    get_next_month_start,
    get_user_failed_runs_account,
    parse_window_start,
)
from bot.credits.alerts import AlertSender, BudgetAlerts
from bot.credits.ledger import Ledger
from bot.credits.limits import (
    BOT_TARGET,
    AskPace,
    Policies,
    PolicyTarget,
    UserLimits,
    check_permissions,
    check_rate,
    is_model_allowed,
)
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import (
    BudgetStatus,
    Overview,
    Spender,
    Statement,
    build_budget_status,
    build_overview,
    build_statement,
    list_spenders,
    read_workspace_budget_status,
)
from bot.credits.wallets import Wallets
from bot.storage.database import Database, Transaction


class Credits:
    """Money as the rest of the bot sees it. Holds and closes run inside the transaction of their job."""

    def __init__(
        self, database: Database, policies: Policies, formatter: CreditFormatter, clock: Clock, send_alert: AlertSender
    ) -> None:
        """`send_alert` is called once for each budget alert."""
        self._database = database
        self._clock = clock
        self.policies = policies
        self.formatter = formatter
        self.alerts = BudgetAlerts(database, policies, clock, send_alert)
        self.ledger = Ledger(formatter, self.alerts.check_budgets)
        self._pace = AskPace(clock)
        self.wallets = Wallets(database, policies, self.ledger, formatter, clock)

    async def hold(self, tx: Transaction, job: Job, model: Model) -> None:
        """Check a job against the user's limits and hold `max_micros`, in the transaction that added the job's row.

        Raise `RequestRefused`, `LimitReached`, `OutOfCredits` or `BudgetExceeded`; the caller then rolls back.
        """
        now = self._clock.now()
        limits = await self.policies.get_limits(tx, job.user)
        check_permissions(job, model, limits, await self.policies.get_channel_rules(tx, job.channel))
        # A reused result or a free model costs nothing, failed or not.
        accounts = await self.ledger.open_accounts(tx, job.user, limits, now, counts_failed_runs=job.max_micros > 0)
        await check_rate(tx, job.user, limits, now)
        await self.ledger.hold_on_accounts(tx, accounts, job.id, job.user, job.max_micros, limits, now)

    async def count_ask(self, user: User, request_key: str) -> None:
        """Count an ask for a job, before any work for the ask. Raise `LimitReached` if the user asks too often."""
        self._pace.count(user, request_key, (await self.get_limits(user)).jobs_per_minute)

    async def has_room(self, tx: Transaction, job: Job, model: Model) -> bool:
        """Return whether `hold` would find enough money, the bot's budget aside. Raise refusals as `hold`."""
        limits = await self.policies.get_limits(tx, job.user)
        check_permissions(job, model, limits, await self.policies.get_channel_rules(tx, job.channel))
        now = self._clock.now()
        failed = await tx.ledger.get_account(get_user_failed_runs_account(job.user, now).id)
        check_failed_runs(failed, limits, self.formatter, now)
        return job.max_micros <= (await build_statement(tx, job.user, limits, now)).max_job_micros

    async def get_limits(self, user: User) -> UserLimits:
        """Return the limits of a user in the user's workspace."""
        if (known := self.policies.find_limits(user)) is not None:
            return known
        async with self._database.read() as tx:
            return await self.policies.get_limits(tx, user)

    async def is_model_allowed(self, user: User, channel: Channel, model: str) -> bool:
        """Return whether user and channel have the permission for a model."""
        async with self._database.read() as tx:
            return is_model_allowed(
                model, await self.policies.get_limits(tx, user), await self.policies.get_channel_rules(tx, channel)
            )

    async def change(self, target: PolicyTarget, values: Mapping[str, JSON], by: User) -> None:
        """Set the keys of a subject, or remove the keys with the value None; the audit records `by`."""
        await self.policies.change(self._database, target, values, by)

    async def get_values(self, target: PolicyTarget) -> dict[str, JSON]:
        """Return the values of one subject, by key."""
        async with self._database.read() as tx:
            return await self.policies.get_values(tx, target)

    async def get_overview(self, platform: str, workspace: str) -> Overview:
        """Return all values that are set in a workspace."""
        async with self._database.read() as tx:
            policies = await self.policies.list_policies(tx, platform, workspace)
            return await build_overview(tx, platform, workspace, policies)

    async def list_spenders(self, by: User, limit: int) -> list[Spender]:
        """Return the users with the highest spending in this workspace this month, highest first."""
        async with self._database.read() as tx:
            return await list_spenders(tx, by.platform, by.workspace, self._clock.now(), limit)

    def get_month(self) -> str:
        """Return the current month, such as `2026-11`."""
        return f"{self._clock.now():%Y-%m}"

    async def stream_jobs(self, by: User, month: str, limit: int) -> AsyncGenerator[list[JobSummary]]:
        """Give the newest `limit` stored jobs of this workspace and month in portions, oldest first."""
        since = parse_window_start(month)
        until = get_next_month_start(since)
        async with self._database.read() as tx:
            jobs = tx.jobs.stream_created_in_workspace(by.platform, by.workspace, since, until, limit)
            async with aclosing(jobs) as portions:
                async for portion in portions:
                    yield portion

    async def get_workspace_budget_status(self, platform: str, workspace: str) -> BudgetStatus:
        """Return the state of a workspace's budget this month."""
        async with self._database.read() as tx:
            return await read_workspace_budget_status(tx, self.policies, platform, workspace, self._clock.now())

    async def get_bot_budget_status(self) -> BudgetStatus:
        """Return the state of the whole bot's budget this month."""
        now = self._clock.now()
        async with self._database.read() as tx:
            limit = await self.policies.get_monthly_budget_micros(tx, BOT_TARGET)
            return build_budget_status(limit, await tx.ledger.get_account(get_bot_budget(now).id), 0, now)

    async def get_statement(self, user: User) -> Statement:
        """Return a user's available credits and this month's spending."""
        async with self._database.read() as tx:
            return await build_statement(tx, user, await self.policies.get_limits(tx, user), self._clock.now())
