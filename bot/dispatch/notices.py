"""Unrequested messages to the moderators of a workspace and the owners of the bot."""

import logging
from collections.abc import Collection, Mapping

from bot.core.ids import derive_id, new_id
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost, Platform, format_nonce
from bot.core.replies import MessageRef, Reply
from bot.credits.alerts import BudgetAlert, format_alert
from bot.credits.pricing import CreditFormatter
from bot.moderation.moderation import Moderation

log = logging.getLogger(__name__)


class Notices:
    """Posts notices. `owners` as in `Authorizer`. A notice without any reader is logged as `notice.untold`."""

    def __init__(
        self, platforms: Mapping[str, Platform], moderation: Moderation, owners: Collection[tuple[str, str, str]]
    ) -> None:
        self._platforms = platforms
        self._moderation = moderation
        self._owners = owners

    async def notify_moderators(self, platform: str, workspace: str, reply: Reply) -> bool:
        """Post in the workspace's channel for notices, else to the owners; return whether the notice has a reader."""
        settings = await self._moderation.get_settings(platform, workspace)
        # The owners read notices of a channel that is deleted or closed to the bot.
        if settings.moderator_channel:
            channel = Channel(platform, workspace, settings.moderator_channel)
            if await self.post_in_channel(channel, reply):
                return True
        return await self.notify_owners(reply)

    async def notify_owners(self, reply: Reply) -> bool:
        """Post to each owner alone; return whether the notice has a reader."""
        is_delivered = False
        for platform_name, workspace, user in self._owners:
            if (platform := self._platforms.get(platform_name)) is None:
                continue
            channel = await platform.find_direct_channel(workspace, user)
            if channel is not None:
                is_delivered |= await self._post(User(platform_name, channel.workspace, user, user), channel, reply)
        if not is_delivered:
            log.warning("notice.untold", extra={"text": reply.text})
        return is_delivered

    async def post_in_channel(self, channel: Channel, reply: Reply) -> bool:
        """Post in one channel; return whether the platform took the message."""
        return await self._post(User(channel.platform, channel.workspace, "moderators", "moderators"), channel, reply)

    async def post_for(self, user: User, channel: Channel, reply: Reply, request_key: str) -> bool:
        """Post the reply to a request of a user, one message however often; return whether the platform took it."""
        return await self._post(user, channel, reply, derive_id(request_key))

    async def replace_message(self, message: MessageRef, reply: Reply) -> None:
        """Show a reply in place of a message, if the platform can still edit the message."""
        platform = self._platforms.get(message.platform)
        if platform is None:
            return
        try:
            await platform.edit(message, reply)
        except MessageLost:
            return  # an ephemeral message, or a deleted one: the reader misses only a tidy message
        except Exception:  # an SDK may raise any error, and the press must still be answered
            log.exception("notice.not_replaced", extra={"channel": message.channel})

    async def _post(self, user: User, channel: Channel, reply: Reply, notice_id: str = "") -> bool:
        platform = self._platforms.get(channel.platform)
        if platform is None:
            return False
        # A notice has no job: an id of its own keeps the platform from merging equal notices.
        key = f"notice:{notice_id or new_id()}"
        try:
            await platform.post(Destination(user, channel, key, nonce=format_nonce(key, 0)), reply)
        except MessageLost as error:
            log.warning("notice.lost", extra={"channel": channel.id, "reason": str(error)})
            return False
        except Exception:  # an SDK may raise any error, and the request behind the notice must not fail
            log.exception("notice.failed", extra={"channel": channel.id})
            return False
        return True


async def send_budget_alert(notices: Notices, form: CreditFormatter, alert: BudgetAlert) -> None:
    """Post the alert of an empty budget: to the owners for the bot's, to the moderators for a workspace's."""
    reply = Reply(text=format_alert(alert, form))
    if alert.scope == "bot":
        await notices.notify_owners(reply)
    else:
        await notices.notify_moderators(alert.platform, alert.workspace, reply)
