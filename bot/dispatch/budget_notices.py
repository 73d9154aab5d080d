"""A budget that runs out is told to whom it concerns: a workspace's to its moderators, the bot's to its owners."""

from bot.core.replies import Reply
from bot.credits.alerts import BudgetAlert
from bot.credits.pricing import CreditFormatter
from bot.credits.telling import format_alert
from bot.dispatch.notices import Notices


async def send_budget_alert(notices: Notices, form: CreditFormatter, alert: BudgetAlert) -> None:
    """Post it."""
    reply = Reply(text=format_alert(alert, form))
    if alert.scope == "bot":
        await notices.notify_owners(reply)
    else:
        await notices.notify_moderators(alert.platform, alert.workspace, reply)
