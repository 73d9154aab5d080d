"""/quota set: a person's own limits."""

from bot.commands.quota.amounts import MAX_CREDITS, check_within_budget, parse_micros
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import AT_ONCE, PER_MINUTE, USER_DAY, USER_MONTH
from bot.credits.policies import PolicyTarget
from bot.credits.telling import format_values, join_phrases
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services

MAX_JOBS = 1_000


@command("quota set", rank=Rank.MODERATOR, private=True)
class QuotaSet(Command):
    """Limit what one person may spend and do."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    day: float | None = option("At most how many credits a day?", default=None, minimum=0, maximum=MAX_CREDITS)
    month: float | None = option("At most how many credits a month?", default=None, minimum=0, maximum=MAX_CREDITS)
    at_once: int | None = option("How many jobs at once?", default=None, minimum=0, maximum=MAX_JOBS)
    per_minute: int | None = option("How many jobs a minute?", default=None, minimum=0, maximum=MAX_JOBS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        person = await credits_.wallets.find_user(by, self.user)
        values = await self._values(invocation, services)
        if not values:
            raise BadOption("Say what to limit: day, month, at_once or per_minute.")
        about = PolicyTarget(by.platform, by.workspace, "user", person.id)
        await credits_.change(about, values, by)
        all_set = join_phrases(
            format_values(await credits_.get_values(about), credits_.formatter), otherwise="no limits"
        )
        return Reply(text=f"Limits of {person.name}: {all_set}.", is_private=True)

    async def _values(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        for key, name, amount in ((USER_DAY, "day", self.day), (USER_MONTH, "month", self.month)):
            if amount is not None:
                values[key] = parse_micros(amount, services.credits.formatter, name)
                await check_within_budget(invocation, services, services.credits.formatter.to_micros(amount), name)
        jobs = {AT_ONCE: self.at_once, PER_MINUTE: self.per_minute}
        return values | {key: number for key, number in jobs.items() if number is not None}
