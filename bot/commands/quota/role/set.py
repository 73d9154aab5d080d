"""/quota role set: a tier: what the members of a role may spend and do."""

from bot.commands.quota.amounts import MOST_CREDITS, check_within_budget, micros_of
from bot.commands.quota.names import models_named
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.naming import role_named
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import AT_ONCE, DAILY_ALLOWANCE, MAX_COUNT, MAX_PIXELS, MODELS, NAME, PER_MINUTE, WEIGHT
from bot.credits.policies import About
from bot.credits.telling import one_line, values_told
from bot.dispatch.declaration import Command, Role, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import an_id

MOST_JOBS = 1_000
MOST_PIXELS = 100_000_000
MOST_TURNS = 100


@command("quota role set", rank=Rank.MODERATOR, private=True)
class QuotaRoleSet(Command):
    """Make a role a tier: its credits, models, sizes and pace."""

    role: Role = option("Which role or user group? `everyone` is all of you.", max_length=100)
    day: float | None = option("How many credits does it give a day?", default=None, minimum=0, maximum=MOST_CREDITS)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    pictures: int | None = option("How many pictures at a time?", default=None, minimum=1, maximum=100)
    pixels: int | None = option("How many pixels a picture?", default=None, minimum=1, maximum=MOST_PIXELS)
    at_once: int | None = option("How many jobs at once?", default=None, minimum=0, maximum=MOST_JOBS)
    per_minute: int | None = option("How many jobs a minute?", default=None, minimum=0, maximum=MOST_JOBS)
    weight: int | None = option("How many turns in the queue for one?", default=None, minimum=1, maximum=MOST_TURNS)
    name: str | None = option("What is this tier called?", default=None, max_length=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values = await self._values(invocation, services)
        if not values:
            raise BadOption("Say what the role gives: day, models, pictures, pixels, at_once, per_minute or weight.")
        about = About(by.platform, by.workspace, "role", an_id(by.platform, self.role, "role"))
        await credits_.change(about, values, by)
        is_set = await credits_.set_about(about)
        told = one_line(values_told(is_set, credits_.form), otherwise="nothing of its own")
        return Reply(text=f"{is_set.get(NAME) or role_named(by.platform, self.role)}: {told}.", is_private=True)

    async def _values(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        if self.day is not None:
            values[DAILY_ALLOWANCE] = micros_of(self.day, services.credits.form, "day")
            await check_within_budget(invocation, services, services.credits.form.micros(self.day), "day")
        if self.models is not None:
            values[MODELS] = models_named(self.models, services)
        plain: dict[str, JSON] = {
            MAX_COUNT: self.pictures,
            MAX_PIXELS: self.pixels,
            AT_ONCE: self.at_once,
            PER_MINUTE: self.per_minute,
            WEIGHT: self.weight,
            NAME: self.name,
        }
        return values | {key: value for key, value in plain.items() if value is not None}
