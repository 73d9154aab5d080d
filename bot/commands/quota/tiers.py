"""/quota role and /quota channel: tiers for the members of roles, and rules for channels."""

from bot.commands.quota.option_values import (
    MAX_CREDITS,
    check_within_budget,
    parse_commands,
    parse_micros,
    parse_models,
    resolve_channel,
)
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.platform import format_channel, format_role
from bot.core.replies import Reply
from bot.credits.limits import (
    AT_ONCE,
    COMMANDS,
    DAILY_ALLOWANCE,
    MAX_COUNT,
    MAX_PIXELS,
    MODELS,
    NAME,
    PER_MINUTE,
    WEIGHT,
    PolicyTarget,
)
from bot.credits.spending import format_values, join_phrases
from bot.dispatch.declaration import ChannelOption, Command, RoleOption, Services, command, option
from bot.dispatch.workspace_settings import require_id

_MAX_JOBS = 1_000
_MAX_PICTURE_PIXELS = 100_000_000
_MAX_WEIGHT = 100


@command("quota role set", rank=Rank.MODERATOR, private=True)
class QuotaRoleSet(Command):
    """Make a role a tier: its credits, models, sizes and pace."""

    role: RoleOption = option("Which role or user group? `everyone` is all of you.", max_length=100)
    day: float | None = option("How many credits does it give a day?", default=None, minimum=0, maximum=MAX_CREDITS)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    pictures: int | None = option("How many pictures at a time?", default=None, minimum=1, maximum=100)
    pixels: int | None = option("How many pixels a picture?", default=None, minimum=1, maximum=_MAX_PICTURE_PIXELS)
    at_once: int | None = option("How many jobs at once?", default=None, minimum=0, maximum=_MAX_JOBS)
    per_minute: int | None = option("How many jobs a minute?", default=None, minimum=0, maximum=_MAX_JOBS)
    weight: int | None = option("How many turns in the queue for one?", default=None, minimum=1, maximum=_MAX_WEIGHT)
    name: str | None = option("What is this tier called?", default=None, max_length=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values = await self._collect_values(invocation, services)
        if not values:
            raise BadOption("Say what the role gives: day, models, pictures, pixels, at_once, per_minute or weight.")
        target = PolicyTarget(by.platform, by.workspace, "role", require_id(by.platform, self.role, "role"))
        await credits_.change(target, values, by)
        values = await credits_.get_values(target)
        shown = join_phrases(format_values(values, credits_.formatter), otherwise="nothing of its own")
        return Reply(text=f"{values.get(NAME) or format_role(by.platform, self.role)}: {shown}.", is_private=True)

    async def _collect_values(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        if self.day is not None:
            values[DAILY_ALLOWANCE] = parse_micros(self.day, services.credits.formatter, "day")
            await check_within_budget(invocation, services, services.credits.formatter.to_micros(self.day), "day")
        if self.models is not None:
            values[MODELS] = parse_models(self.models, services)
        numbers: dict[str, JSON] = {
            MAX_COUNT: self.pictures,
            MAX_PIXELS: self.pixels,
            AT_ONCE: self.at_once,
            PER_MINUTE: self.per_minute,
            WEIGHT: self.weight,
            NAME: self.name,
        }
        return values | {key: value for key, value in numbers.items() if value is not None}


@command("quota role show", rank=Rank.MODERATOR, private=True)
class QuotaRoleShow(Command):
    """Show what roles give."""

    role: RoleOption | None = option(
        "Which role? All that give something if you say nothing.", default=None, max_length=100
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, form = invocation.user, services.credits.formatter
        overview = await services.credits.get_overview(by.platform, by.workspace)
        roles = {role: values for role, values in overview.roles.items() if self.role in (None, role)}
        if not roles:
            raise BadOption(
                f"Nothing is set for {format_role(by.platform, self.role)}."
                if self.role
                else "No role gives anything yet: `/quota role set`."
            )
        lines = [
            f"- {overview.format_role(role)}: {join_phrases(format_values(values, form), otherwise='nothing')}"
            for role, values in roles.items()
        ]
        return Reply(text="\n".join(lines), is_private=True)


@command("quota role clear", rank=Rank.MODERATOR, private=True)
class QuotaRoleClear(Command):
    """Take away what a role gives."""

    role: RoleOption = option("Which role or user group?", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        # Without `require_id`: the role may be deleted on the platform by now.
        target, name = PolicyTarget(by.platform, by.workspace, "role", self.role), format_role(by.platform, self.role)
        values = await services.credits.get_values(target)
        if not values:
            raise BadOption(f"Nothing is set for {name}.", option="role")
        await services.credits.change(target, dict.fromkeys(values), by)
        return Reply(text=f"{values.get(NAME) or name} gives nothing of its own any more.", is_private=True)


@command("quota channel set", rank=Rank.MODERATOR, private=True)
class QuotaChannelSet(Command):
    """Say which commands and models may be used in a channel."""

    channel: ChannelOption | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    commands: str | None = option("Which commands that make jobs? Names, or `all`.", default=None, max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values: dict[str, JSON] = {}
        if self.models is not None:
            values[MODELS] = parse_models(self.models, services)
        if self.commands is not None:
            values[COMMANDS] = parse_commands(self.commands, services)
        if not values:
            raise BadOption("Say which models or commands.")
        channel = require_id(by.platform, resolve_channel(self.channel, invocation), "channel")
        target = PolicyTarget(by.platform, by.workspace, "channel", channel)
        await credits_.change(target, values, by)
        shown = join_phrases(
            format_values(await credits_.get_values(target), credits_.formatter), otherwise="everything"
        )
        return Reply(text=f"In {format_channel(by.platform, channel)}: {shown}.", is_private=True)


@command("quota channel clear", rank=Rank.MODERATOR, private=True)
class QuotaChannelClear(Command):
    """Allow every command and model in a channel again."""

    channel: ChannelOption | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        channel = resolve_channel(self.channel, invocation)
        target = PolicyTarget(by.platform, by.workspace, "channel", channel)
        values = await services.credits.get_values(target)
        if not values:
            raise BadOption(f"Nothing is set for {format_channel(by.platform, channel)}.", option="channel")
        await services.credits.change(target, dict.fromkeys(values), by)
        return Reply(
            text=f"Every command and model may be used in {format_channel(by.platform, channel)} again.",
            is_private=True,
        )
