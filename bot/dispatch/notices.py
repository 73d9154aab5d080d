"""Telling people who did not ask: the moderators of a workspace, and the owners of the bot."""

import logging
from collections.abc import Collection, Mapping

from bot.core.ids import new_id
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost, Platform
from bot.core.replies import MessageRef, Reply
from bot.credits.alerts import BudgetAlert
from bot.credits.formatting import format_alert
from bot.credits.pricing import CreditFormatter
from bot.moderation.moderation import Moderation

log = logging.getLogger(__name__)


class Notices:
    """`owners` as in `Ranks`. What nobody could be told is in the log."""

    def __init__(
        self, platforms: Mapping[str, Platform], moderation: Moderation, owners: Collection[tuple[str, str, str]]
    ) -> None:
        self._platforms = platforms
        self._moderation = moderation
        self._owners = owners

    async def notify_moderators(self, platform: str, workspace: str, reply: Reply) -> bool:
        """Post in the channel that the workspace named for this, else to the owners; gives whether anyone was told."""
        settings = await self._moderation.get_settings(platform, workspace)
        if settings.moderator_channel:
            channel = Channel(platform, workspace, settings.moderator_channel)
            if await self.post_in_channel(channel, reply):
                return True
        return await self.notify_owners(reply)

    async def notify_owners(self, reply: Reply) -> bool:
        """Post to each owner alone; gives whether anyone was told."""
        told = False
        for platform, workspace, user in self._owners:
            if (joined := self._platforms.get(platform)) is None:
                continue
            channel = await joined.find_direct_channel(workspace, user)
            if channel is not None:
                told |= await self._post(User(platform, channel.workspace, user, user), channel, reply)
        if not told:
            log.warning("notice.untold", extra={"text": reply.text})
        return told

    async def post_in_channel(self, channel: Channel, reply: Reply) -> bool:
        """Post in one channel; gives whether that could be done."""
        return await self._post(User(channel.platform, channel.workspace, "moderators", "moderators"), channel, reply)

    async def replace_message(self, message: MessageRef, reply: Reply) -> None:
        """Show this in place of a message, where it can still be reached."""
        platform = self._platforms.get(message.platform)
        if platform is None:
            return
        try:
            await platform.edit(message, reply)
        except MessageLost:  # only its person sees it, or it is gone
            return
        except Exception:  # an SDK may raise anything, and what was asked for matters more
            log.exception("notice.not_replaced", extra={"channel": message.channel})

    async def _post(self, user: User, channel: Channel, reply: Reply) -> bool:
        platform = self._platforms.get(channel.platform)
        if platform is None:
            return False
        key = f"notice:{new_id()}"
        try:
            await platform.post(Destination(user, channel, key, nonce=f"{key}:0"), reply)
        except MessageLost as error:
            log.warning("notice.lost", extra={"channel": channel.id, "reason": str(error)})
            return False
        except Exception:  # an SDK may raise anything, and who asked must not suffer from it
            log.exception("notice.failed", extra={"channel": channel.id})
            return False
        return True


# MERGED A budget that runs out is told to whom it concerns: a workspace's to its moderators, the bot's to its
# MERGED owners.


async def send_budget_alert(notices: Notices, form: CreditFormatter, alert: BudgetAlert) -> None:
    """Post it."""
    reply = Reply(text=format_alert(alert, form))
    if alert.scope == "bot":
        await notices.notify_owners(reply)
    else:
        await notices.notify_moderators(alert.platform, alert.workspace, reply)
