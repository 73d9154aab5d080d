"""/quota role set: a tier: what the members of a role may spend and do."""

from bot.commands.quota.amounts import MAX_CREDITS, check_within_budget, parse_micros
from bot.commands.quota.names import parse_models
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.naming import format_role
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import AT_ONCE, DAILY_ALLOWANCE, MAX_COUNT, MAX_PIXELS, MODELS, NAME, PER_MINUTE, WEIGHT
from bot.credits.policies import PolicyTarget
from bot.credits.telling import format_values, join_phrases
from bot.dispatch.declaration import Command, RoleOption, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import require_id

MAX_JOBS = 1_000
MAX_PICTURE_PIXELS = 100_000_000
MAX_WEIGHT = 100


@command("quota role set", rank=Rank.MODERATOR, private=True)
class QuotaRoleSet(Command):
    """Make a role a tier: its credits, models, sizes and pace."""

    role: RoleOption = option("Which role or user group? `everyone` is all of you.", max_length=100)
    day: float | None = option("How many credits does it give a day?", default=None, minimum=0, maximum=MAX_CREDITS)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    pictures: int | None = option("How many pictures at a time?", default=None, minimum=1, maximum=100)
    pixels: int | None = option("How many pixels a picture?", default=None, minimum=1, maximum=MAX_PICTURE_PIXELS)
    at_once: int | None = option("How many jobs at once?", default=None, minimum=0, maximum=MAX_JOBS)
    per_minute: int | None = option("How many jobs a minute?", default=None, minimum=0, maximum=MAX_JOBS)
    weight: int | None = option("How many turns in the queue for one?", default=None, minimum=1, maximum=MAX_WEIGHT)
    name: str | None = option("What is this tier called?", default=None, max_length=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values = await self._values(invocation, services)
        if not values:
            raise BadOption("Say what the role gives: day, models, pictures, pixels, at_once, per_minute or weight.")
        about = PolicyTarget(by.platform, by.workspace, "role", require_id(by.platform, self.role, "role"))
        await credits_.change(about, values, by)
        is_set = await credits_.get_values(about)
        told = join_phrases(format_values(is_set, credits_.formatter), otherwise="nothing of its own")
        return Reply(text=f"{is_set.get(NAME) or format_role(by.platform, self.role)}: {told}.", is_private=True)

    async def _values(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        if self.day is not None:
            values[DAILY_ALLOWANCE] = parse_micros(self.day, services.credits.formatter, "day")
            await check_within_budget(invocation, services, services.credits.formatter.to_micros(self.day), "day")
        if self.models is not None:
            values[MODELS] = parse_models(self.models, services)
        plain: dict[str, JSON] = {
            MAX_COUNT: self.pictures,
            MAX_PIXELS: self.pixels,
            AT_ONCE: self.at_once,
            PER_MINUTE: self.per_minute,
            WEIGHT: self.weight,
            NAME: self.name,
        }
        return values | {key: value for key, value in plain.items() if value is not None}
