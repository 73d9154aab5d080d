"""/setup: lets a workspace use the bot, and lists the next steps of the set-up."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank, User
from bot.core.platform import format_option
from bot.core.replies import Reply
from bot.credits.limits import WORKSPACE_MONTH, PolicyTarget
from bot.dispatch.declaration import ChannelOption, Command, RoleOption, Services, command, option
from bot.dispatch.workspace_settings import (
    change_settings,
    format_settings,
    get_settings,
    validate_channel,
    validate_moderator_role,
    validate_notice_channel,
)

MAX_CREDITS = 1_000_000_000


@command("setup", rank=Rank.OWNER, private=True, works_anywhere=True)
class Setup(Command):
    """Let this workspace use me, and see what is set up and what is not."""

    allowed: bool | None = option("May this workspace use me? Yes if you say nothing.", default=None)
    budget: float | None = option(
        "How many credits may it spend in a month?", default=None, minimum=0, maximum=MAX_CREDITS
    )
    moderators: RoleOption | None = option("Which role's members moderate?", default=None, max_length=100)
    notices: ChannelOption | None = option("Which channel gets reports and notices?", default=None, max_length=100)
    channel: ChannelOption | None = option("Which channel may I be used in?", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, moderation = invocation.user, services.moderation
        if self.allowed is False:
            await moderation.admin.forbid_workspace(by)
            text = "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
            return Reply(text=text, is_private=True)
        budget = services.credits.formatter.to_micros(self.budget or 0)
        if self.budget and not budget:
            raise BadOption("budget is less than anything can cost.", option="budget")
        # Check all options first: an error must not leave half a set-up.
        values = await self._collect_settings(invocation, services)
        if not await moderation.is_workspace_allowed(by):
            await moderation.admin.allow_workspace(by)
        await change_settings(services, by, values)
        if self.budget is not None:
            await services.credits.change(
                PolicyTarget(by.platform, by.workspace, "workspace"), {WORKSPACE_MONTH: budget}, by
            )
        return Reply(text=await _format_steps(by, services), is_private=True)

    async def _collect_settings(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        """Return the policies to write. Raise `BadOption` or `RequestRefused` as the validators do."""
        by = invocation.user
        values: dict[str, JSON] = {}
        if self.moderators:
            values |= validate_moderator_role(
                invocation, await get_settings(services, by), self.moderators, moderates=True
            )
        if self.channel:
            values |= validate_channel(by, self.channel, is_allowed=True)
        if self.notices:
            values |= await validate_notice_channel(services, by, self.notices)
        return values


async def _format_steps(by: User, services: Services) -> str:
    """Return the list of steps with the present settings, and the command for each missing setting."""
    settings = await get_settings(services, by)
    status = await services.credits.get_workspace_budget_status(by.platform, by.workspace)
    form = services.credits.formatter

    def format_command(name: str, value: str) -> str:
        return f"`/setup {format_option(by.platform, name, value)}`"

    if status.limit_micros is None:
        budget = f"none of its own, so it shares the whole bot's. {format_command('budget', '5000')} gives it one"
    else:
        budget = f"{form.format_amount(status.limit_micros)} a month, {form.format(status.spent_micros)} spent"

    def format_step(name: str, advice: str) -> str:
        text = format_settings(settings, by, services, only=frozenset({name}))[0][2:].replace(" *(default)*", "")
        return f"{text}." if getattr(settings, name) else f"{text}. {advice}"

    steps = [
        f"**This workspace may use me.** {format_command('allowed', 'no')} takes that back.",
        f"**Budget**: {budget}.",
        format_step("moderator_roles", f"{format_command('moderators', 'ROLE')} adds a role."),
        format_step("moderator_channel", f"{format_command('notices', 'CHANNEL')} names one."),
        format_step("channels", f"{format_command('channel', 'CHANNEL')} keeps me to some."),
        "Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    return "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))
