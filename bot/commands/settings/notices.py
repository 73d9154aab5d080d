"""/settings notices: where moderators read reports and warnings."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import ChannelOption, Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply, validate_notice_channel


@command("settings notices", rank=Rank.MODERATOR, private=True)
class SettingsNotices(Command):
    """Choose the channel for reports and for notices about the budget. I try it with one."""

    channel: ChannelOption = option("Which channel?", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(
            services, by, await validate_notice_channel(services, by, self.channel), "moderator_channel"
        )
