"""What the rest of the bot asks of money: may this job run, holds, and what somebody has left."""

from bot.core.clock import Clock
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.core.storage import Database, Transaction
from bot.credits.admission import check_kind, check_pace, may_use
from bot.credits.alerts import Alerts
from bot.credits.ledger import Ledger
from bot.credits.limits import Limits
from bot.credits.policies import Policies
from bot.credits.pricing import CreditForm
from bot.credits.statements import Statement, statement_of
from bot.credits.wallets import Wallets


class Credits:
    """The service; holds and closes run inside the transaction of the job they belong to."""

    def __init__(self, database: Database, policies: Policies, form: CreditForm, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.policies = policies
        self.form = form
        self.alerts = Alerts(database, policies, clock)
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

    async def limits_of(self, user: User) -> Limits:
        """What a user may spend and do where they ask."""
        async with self._database.read() as tx:
            return await self.policies.limits_of(tx, user)

    async def may_use(self, user: User, channel: Channel, model: str) -> bool:
        """Whether a model is given to a user in a channel."""
        async with self._database.read() as tx:
            return may_use(model, await self.policies.limits_of(tx, user), await self.policies.rules_of(tx, channel))

    async def statement(self, user: User) -> Statement:
        """What a person has left, and what this month went on."""
        async with self._database.read() as tx:
            return await statement_of(tx, user, await self.policies.limits_of(tx, user), self._clock.now())
