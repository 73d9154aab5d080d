"""What the rest of the bot asks of money: may this job run, holds, and what somebody has left."""

from collections.abc import Mapping

from bot.core.clock import Clock
from bot.core.jobs import Job
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.credits.accounts import bot_budget, start_of, start_of_next_month
from bot.credits.admission import check_kind, check_pace, may_use
from bot.credits.alerts import Alerts, Tell
from bot.credits.ledger import Ledger
from bot.credits.limits import Limits
from bot.credits.overview import Overview, Spender, Standing, overview_of, spenders_in, standing_of
from bot.credits.policies import BOT, About, Policies
from bot.credits.pricing import CreditForm
from bot.credits.statements import Statement, statement_of
from bot.credits.wallets import Wallets
from bot.credits.windows import workspace_standing
from bot.storage.database import Database, Transaction


class Credits:
    """The service; holds and closes run inside the transaction of the job they belong to.

    `tell` is called once for each budget alert.
    """

    def __init__(self, database: Database, policies: Policies, form: CreditForm, clock: Clock, tell: Tell) -> None:
        self._database = database
        self._clock = clock
        self.policies = policies
        self.form = form
        self.alerts = Alerts(database, policies, clock, tell)
        self.ledger = Ledger(form, self.alerts.look)
        self.wallets = Wallets(database, policies, form, clock)

    async def hold(self, tx: Transaction, job: Job, model: Model) -> None:
        """Let a job in and set its `told_at_most` aside, in the transaction that added its row.

        Raises `Refused`, `LimitReached`, `OutOfCredits` or `BudgetSpent`, and then the transaction is to be given up.
        """
        now = self._clock.now()
        limits = await self.policies.limits_of(tx, job.user)
        check_kind(job, model, limits, await self.policies.rules_of(tx, job.channel))
        accounts = await self.ledger.opened(tx, job.user, limits, now)
        await check_pace(tx, job.user, limits, now)
        await self.ledger.hold_on(tx, accounts, job.id, job.user, job.told_at_most, limits, now)

    async def has_room(self, tx: Transaction, job: Job, model: Model) -> bool:
        """Whether a job could be held as things stand, the bot's own budget aside. Raises `Refused` as `hold` does."""
        limits = await self.policies.limits_of(tx, job.user)
        check_kind(job, model, limits, await self.policies.rules_of(tx, job.channel))
        return job.told_at_most <= (await statement_of(tx, job.user, limits, self._clock.now())).most

    async def limits_of(self, user: User) -> Limits:
        """What a user may spend and do where they ask."""
        async with self._database.read() as tx:
            return await self.policies.limits_of(tx, user)

    async def may_use(self, user: User, channel: Channel, model: str) -> bool:
        """Whether a model is given to a user in a channel."""
        async with self._database.read() as tx:
            return may_use(model, await self.policies.limits_of(tx, user), await self.policies.rules_of(tx, channel))

    async def change(self, about: About, values: Mapping[str, JSON], by: User) -> None:
        """Set these keys about something, or take them away where the value is None; the audit says who did."""
        await self.policies.change(self._database, about, values, by)

    async def set_about(self, about: About) -> dict[str, JSON]:
        """What is set about one thing, by key."""
        async with self._database.read() as tx:
            return await self.policies.set_about(tx, about)

    async def overview(self, platform: str, workspace: str) -> Overview:
        """Everything that is set in a workspace."""
        async with self._database.read() as tx:
            policies = await self.policies.all_in(tx, platform, workspace)
            return await overview_of(tx, platform, workspace, policies)

    async def spenders(self, by: User, limit: int) -> list[Spender]:
        """Who spent the most in this workspace this month, dearest first."""
        async with self._database.read() as tx:
            return await spenders_in(tx, by.platform, by.workspace, self._clock.now(), limit)

    async def jobs_in(self, by: User, month: str, limit: int) -> tuple[str, list[Job]]:
        """The jobs of this workspace in a month (`2026-11`; this one when empty) that are kept, newest first."""
        month = month or f"{self._clock.now():%Y-%m}"
        since = start_of(month)
        async with self._database.read() as tx:
            until = start_of_next_month(since)
            return month, await tx.jobs.list_created_in_workspace(by.platform, by.workspace, since, until, limit)

    async def standing(self, platform: str, workspace: str) -> Standing:
        """How the budget of a workspace stands this month."""
        async with self._database.read() as tx:
            return await workspace_standing(tx, self.policies, platform, workspace, self._clock.now())

    async def bot_standing(self) -> Standing:
        """How the budget of the whole bot stands this month."""
        now = self._clock.now()
        async with self._database.read() as tx:
            limit = await self.policies.budget_of(tx, BOT)
            return standing_of(limit, await tx.ledger.get_account(bot_budget(now).id), 0, now)

    async def statement(self, user: User) -> Statement:
        """What a person has left, and what this month went on."""
        async with self._database.read() as tx:
            return await statement_of(tx, user, await self.policies.limits_of(tx, user), self._clock.now())
