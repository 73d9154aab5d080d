"""/quota budget set: what a workspace, or the whole bot, may spend in a month: the owner's to say."""

from bot.commands.quota.amounts import MAX_BUDGET_CREDITS, parse_micros
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import BOT_MONTH, WORKSPACE_MONTH
from bot.credits.moments import format_date
from bot.credits.overview import BudgetStatus
from bot.credits.policies import BOT_TARGET, PolicyTarget
from bot.credits.pricing import CreditFormatter
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("quota budget set", rank=Rank.OWNER, private=True)
class QuotaBudgetSet(Command):
    """Say what a workspace, or the whole bot, may spend in a month."""

    credits: float | None = option(
        "How many credits a month? No limit of its own if you say nothing.",
        default=None,
        minimum=0,
        maximum=MAX_BUDGET_CREDITS,
    )
    of: str = option("Whose budget?", default="workspace", choices=("workspace", "bot"))
    workspace: str | None = option(
        "Which workspace, as in discord:GUILD_ID? This one if you say nothing.", default=None, max_length=100
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        credits_ = services.credits
        about, whose = (BOT_TARGET, "The whole bot") if self.of == "bot" else self._workspace(invocation)
        key = BOT_MONTH if about is BOT_TARGET else WORKSPACE_MONTH
        micros = None if self.credits is None else parse_micros(self.credits, credits_.formatter, "credits")
        await credits_.change(about, {key: micros}, invocation.user)
        if about is BOT_TARGET:
            standing = await credits_.get_bot_budget_status()
        else:
            standing = await credits_.get_workspace_budget_status(about.platform, about.workspace)
        if standing.limit_micros is None:
            return Reply(text=f"{whose} has no budget of its own any more.", is_private=True)
        zone = (await credits_.get_limits(invocation.user)).time_zone
        return Reply(text=_format_new_budget(whose, standing, credits_.formatter, zone), is_private=True)

    def _workspace(self, invocation: Invocation) -> tuple[PolicyTarget, str]:
        if self.workspace is None:
            return PolicyTarget(invocation.user.platform, invocation.user.workspace, "workspace"), "This workspace"
        platform, _, name = self.workspace.partition(":")
        if not platform or not name:
            raise BadOption("workspace is a platform and an id, as in discord:GUILD_ID.", option="workspace")
        return PolicyTarget(platform, name, "workspace"), self.workspace


def _format_new_budget(whose: str, standing: BudgetStatus, form: CreditFormatter, zone: str) -> str:
    spent, limit = form.format(standing.spent_micros), form.format(standing.limit_micros or 0)
    text = f"{whose} may spend {limit} credits a month, and spent {spent} this month."
    if standing.spent_micros < (standing.limit_micros or 0):
        return text
    return (
        f"{text} So nothing that costs anything can be asked until it refills {format_date(standing.refills_at, zone)}."
    )
