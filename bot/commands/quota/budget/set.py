"""/quota budget set: what a workspace, or the whole bot, may spend in a month: the owner's to say."""

from bot.commands.quota.amounts import MOST_BUDGET_CREDITS, micros_of
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import BOT_MONTH, WORKSPACE_MONTH
from bot.credits.moments import day_told
from bot.credits.overview import Standing
from bot.credits.policies import BOT, About
from bot.credits.pricing import CreditForm
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("quota budget set", rank=Rank.OWNER, private=True)
class QuotaBudgetSet(Command):
    """Say what a workspace, or the whole bot, may spend in a month."""

    credits: float | None = option(
        "How many credits a month? No limit of its own if you say nothing.",
        default=None,
        minimum=0,
        maximum=MOST_BUDGET_CREDITS,
    )
    of: str = option("Whose budget?", default="workspace", choices=("workspace", "bot"))
    workspace: str | None = option(
        "Which workspace, as in discord:GUILD_ID? This one if you say nothing.", default=None, max_length=100
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        credits_ = services.credits
        about, whose = (BOT, "The whole bot") if self.of == "bot" else self._workspace(invocation)
        key = BOT_MONTH if about is BOT else WORKSPACE_MONTH
        micros = None if self.credits is None else micros_of(self.credits, credits_.form, "credits")
        await credits_.change(about, {key: micros}, invocation.user)
        if about is BOT:
            standing = await credits_.bot_standing()
        else:
            standing = await credits_.standing(about.platform, about.workspace)
        if standing.limit is None:
            return Reply(text=f"{whose} has no budget of its own any more.", is_private=True)
        zone = (await credits_.limits_of(invocation.user)).time_zone
        return Reply(text=_told(whose, standing, credits_.form, zone), is_private=True)

    def _workspace(self, invocation: Invocation) -> tuple[About, str]:
        if self.workspace is None:
            return About(invocation.user.platform, invocation.user.workspace, "workspace"), "This workspace"
        platform, _, name = self.workspace.partition(":")
        if not platform or not name:
            raise BadOption("workspace is a platform and an id, as in discord:GUILD_ID.", option="workspace")
        return About(platform, name, "workspace"), self.workspace


def _told(whose: str, standing: Standing, form: CreditForm, zone: str) -> str:
    spent, limit = form.show(standing.spent), form.show(standing.limit or 0)
    text = f"{whose} may spend {limit} credits a month, and spent {spent} this month."
    if standing.spent < (standing.limit or 0):
        return text
    return f"{text} So nothing that costs anything can be asked until it refills {day_told(standing.refills_at, zone)}."
