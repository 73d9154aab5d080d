"""/quota budget show: what this workspace may spend in a month, and what is left of it."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.moments import format_date
from bot.credits.overview import BudgetStatus
from bot.credits.pricing import CreditFormatter
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services


@command("quota budget show", rank=Rank.MODERATOR, private=True)
class QuotaBudgetShow(Command):
    """Show this month's budget and what is left of it."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        zone = (await credits_.get_limits(by)).time_zone
        here = await credits_.get_workspace_budget_status(by.platform, by.workspace)
        lines = [_format_standing("This workspace", here, credits_.formatter, zone)]
        if invocation.rank >= Rank.OWNER:
            lines.append(
                _format_standing("The whole bot", await credits_.get_bot_budget_status(), credits_.formatter, zone)
            )
        return Reply(text="\n".join(lines), is_private=True)


def _format_standing(whose: str, standing: BudgetStatus, form: CreditFormatter, zone: str) -> str:
    spent, held = form.format(standing.spent_micros), form.format(standing.held_micros)
    running = f" {held} more are set aside for what is running." if standing.held_micros else ""
    if standing.limit_micros is None:
        return f"{whose} has no budget of its own, and spent {spent} credits this month.{running}"
    refills = format_date(standing.refills_at, zone)
    return f"{whose} spent {spent} of {form.format(standing.limit_micros)} credits this month.{running} It refills {refills}."
