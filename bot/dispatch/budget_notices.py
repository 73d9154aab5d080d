"""A budget that runs out is told to whom it concerns: a workspace's to its moderators, the bot's to its owners."""

from bot.core.replies import Reply
from bot.credits.alerts import BudgetAlert
from bot.credits.pricing import CreditForm
from bot.credits.telling import alert_told
from bot.dispatch.notices import Notices


async def tell(notices: Notices, form: CreditForm, alert: BudgetAlert) -> None:
    """Post it."""
    reply = Reply(text=alert_told(alert, form))
    if alert.scope == "bot":
        await notices.to_owners(reply)
    else:
        await notices.to_moderators(alert.platform, alert.workspace, reply)
