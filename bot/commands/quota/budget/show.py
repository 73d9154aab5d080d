"""/quota budget show: what this workspace may spend in a month, and what is left of it."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.moments import day_told
from bot.credits.overview import Standing
from bot.credits.pricing import CreditForm
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services


@command("quota budget show", rank=Rank.MODERATOR, private=True)
class QuotaBudgetShow(Command):
    """Show this month's budget and what is left of it."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        zone = (await credits_.limits_of(by)).time_zone
        here = await credits_.standing(by.platform, by.workspace)
        lines = [_told("This workspace", here, credits_.form, zone)]
        if invocation.rank >= Rank.OWNER:
            lines.append(_told("The whole bot", await credits_.bot_standing(), credits_.form, zone))
        return Reply(text="\n".join(lines), is_private=True)


def _told(whose: str, standing: Standing, form: CreditForm, zone: str) -> str:
    spent, held = form.show(standing.spent), form.show(standing.held)
    running = f" {held} more are set aside for what is running." if standing.held else ""
    if standing.limit is None:
        return f"{whose} has no budget of its own, and spent {spent} credits this month.{running}"
    refills = day_told(standing.refills_at, zone)
    return f"{whose} spent {spent} of {form.show(standing.limit)} credits this month.{running} It refills {refills}."
