"""What the rest of the bot asks of money: may this job run, holds, and what somebody has left."""

from collections.abc import Mapping

from bot.core.clock import Clock
from bot.core.jobs import Job
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.credits.accounts import get_bot_budget, get_next_month_start, parse_window_start
from bot.credits.alerts import AlertSender, BudgetAlerts
from bot.credits.ledger import Ledger
from bot.credits.limits import UserLimits, check_permissions, check_rate, is_model_allowed
from bot.credits.policies import BOT_TARGET, Policies, PolicyTarget
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
    """The service; holds and closes run inside the transaction of the job they belong to.

    `tell` is called once for each budget alert.
    """

    def __init__(
        self, database: Database, policies: Policies, formatter: CreditFormatter, clock: Clock, tell: AlertSender
    ) -> None:
        self._database = database
        self._clock = clock
        self.policies = policies
        self.formatter = formatter
        self.alerts = BudgetAlerts(database, policies, clock, tell)
        self.ledger = Ledger(formatter, self.alerts.check_budgets)
        self.wallets = Wallets(database, policies, formatter, clock)

    async def hold(self, tx: Transaction, job: Job, model: Model) -> None:
        """Let a job in and set its `max_micros` aside, in the transaction that added its row.

        Raises `Refused`, `LimitReached`, `OutOfCredits` or `BudgetSpent`, and then the transaction is to be given up.
        """
        now = self._clock.now()
        limits = await self.policies.get_limits(tx, job.user)
        check_permissions(job, model, limits, await self.policies.get_channel_rules(tx, job.channel))
        accounts = await self.ledger.open_accounts(tx, job.user, limits, now)
        await check_rate(tx, job.user, limits, now)
        await self.ledger.hold_on_accounts(tx, accounts, job.id, job.user, job.max_micros, limits, now)

    async def has_room(self, tx: Transaction, job: Job, model: Model) -> bool:
        """Whether a job could be held as things stand, the bot's own budget aside. Raises `Refused` as `hold` does."""
        limits = await self.policies.get_limits(tx, job.user)
        check_permissions(job, model, limits, await self.policies.get_channel_rules(tx, job.channel))
        return job.max_micros <= (await build_statement(tx, job.user, limits, self._clock.now())).max_job_micros

    async def get_limits(self, user: User) -> UserLimits:
        """What a user may spend and do where they ask."""
        async with self._database.read() as tx:
            return await self.policies.get_limits(tx, user)

    async def is_model_allowed(self, user: User, channel: Channel, model: str) -> bool:
        """Whether a model is given to a user in a channel."""
        async with self._database.read() as tx:
            return is_model_allowed(
                model, await self.policies.get_limits(tx, user), await self.policies.get_channel_rules(tx, channel)
            )

    async def change(self, target: PolicyTarget, values: Mapping[str, JSON], by: User) -> None:
        """Set these keys about something, or take them away where the value is None; the audit says who did."""
        await self.policies.change(self._database, target, values, by)

    async def get_values(self, target: PolicyTarget) -> dict[str, JSON]:
        """What is set about one thing, by key."""
        async with self._database.read() as tx:
            return await self.policies.get_values(tx, target)

    async def get_overview(self, platform: str, workspace: str) -> Overview:
        """Everything that is set in a workspace."""
        async with self._database.read() as tx:
            policies = await self.policies.list_policies(tx, platform, workspace)
            return await build_overview(tx, platform, workspace, policies)

    async def list_spenders(self, by: User, limit: int) -> list[Spender]:
        """Who spent the most in this workspace this month, dearest first."""
        async with self._database.read() as tx:
            return await list_spenders(tx, by.platform, by.workspace, self._clock.now(), limit)

    async def list_jobs(self, by: User, month: str, limit: int) -> tuple[str, list[Job]]:
        """The jobs of this workspace in a month (`2026-11`; this one when empty) that are kept, newest first."""
        month = month or f"{self._clock.now():%Y-%m}"
        since = parse_window_start(month)
        async with self._database.read() as tx:
            until = get_next_month_start(since)
            return month, await tx.jobs.list_created_in_workspace(by.platform, by.workspace, since, until, limit)

    async def get_workspace_budget_status(self, platform: str, workspace: str) -> BudgetStatus:
        """How the budget of a workspace stands this month."""
        async with self._database.read() as tx:
            return await read_workspace_budget_status(tx, self.policies, platform, workspace, self._clock.now())

    async def get_bot_budget_status(self) -> BudgetStatus:
        """How the budget of the whole bot stands this month."""
        now = self._clock.now()
        async with self._database.read() as tx:
            limit = await self.policies.get_monthly_budget_micros(tx, BOT_TARGET)
            return build_budget_status(limit, await tx.ledger.get_account(get_bot_budget(now).id), 0, now)

    async def get_statement(self, user: User) -> Statement:
        """What a person has left, and what this month went on."""
        async with self._database.read() as tx:
            return await build_statement(tx, user, await self.policies.get_limits(tx, user), self._clock.now())
