"""/setup: the owner lets a workspace use the bot, and is walked through what comes next."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.naming import option_named
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.credits.limits import WORKSPACE_MONTH
from bot.credits.policies import About
from bot.dispatch.declaration import Command, Place, Role, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import (
    change,
    channel_allowed,
    moderators,
    notices_in,
    settings_of,
    told,
)

MOST_CREDITS = 1_000_000_000


@command("setup", rank=Rank.OWNER, private=True, works_anywhere=True)
class Setup(Command):
    """Let this workspace use me, and see what is set up and what is not."""

    allowed: bool | None = option("May this workspace use me? Yes if you say nothing.", default=None)
    budget: float | None = option(
        "How many credits may it spend in a month?", default=None, minimum=0, maximum=MOST_CREDITS
    )
    moderators: Role | None = option("Which role's members moderate?", default=None, max_length=100)
    notices: Place | None = option("Which channel gets reports and notices?", default=None, max_length=100)
    channel: Place | None = option("Which channel may I be used in?", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, moderation = invocation.user, services.moderation
        if self.allowed is False:
            await moderation.desk.forbid(by)
            text = "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
            return Reply(text=text, is_private=True)
        budget = services.credits.form.micros(self.budget or 0)
        if self.budget and not budget:
            raise BadOption("budget is less than anything can cost.", option="budget")
        values = await self._settings(invocation, services)
        if not await moderation.is_allowed(by):
            await moderation.desk.allow(by)
        await change(services, by, values)
        if self.budget is not None:
            await services.credits.change(_about(by), {WORKSPACE_MONTH: budget}, by)
        return Reply(text=await _walk(by, services), is_private=True)

    async def _settings(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        """What was said of settings, checked before anything is written."""
        by = invocation.user
        values: dict[str, JSON] = {}
        if self.moderators:
            values |= moderators(invocation, await settings_of(services, by), self.moderators, moderates=True)
        if self.channel:
            values |= channel_allowed(by, self.channel, is_allowed=True)
        if self.notices:
            values |= await notices_in(services, by, self.notices)
        return values


async def _walk(by: User, services: Services) -> str:
    """What is set, step by step, and how to set the rest."""
    settings = await settings_of(services, by)
    standing = await services.credits.standing(by.platform, by.workspace)
    form = services.credits.form

    def typed(name: str, value: str) -> str:
        return f"`/setup {option_named(by.platform, name, value)}`"

    if standing.limit is None:
        budget = f"none of its own, so it shares the whole bot's. {typed('budget', '5000')} gives it one"
    else:
        budget = f"{form.show(standing.limit)} credits a month, {form.show(standing.spent)} spent"

    def line(name: str, how: str) -> str:
        words = told(settings, by, services, only=frozenset({name}))[0][2:].replace(" *(default)*", "")
        return f"{words}." if getattr(settings, name) else f"{words}. {how}"

    steps = [
        f"**This workspace may use me.** {typed('allowed', 'no')} takes that back.",
        f"**Budget**: {budget}.",
        line("moderator_roles", f"{typed('moderators', 'ROLE')} adds a role."),
        line("moderator_channel", f"{typed('notices', 'CHANNEL')} names one."),
        line("channels", f"{typed('channel', 'CHANNEL')} keeps me to some."),
        "Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    return "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))


def _about(by: User) -> About:
    return About(by.platform, by.workspace, "workspace")
