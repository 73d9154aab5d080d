"""/settings channel: where the bot may be used."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import ChannelOption, Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply, validate_channel


@command("settings channel", rank=Rank.MODERATOR, private=True)
class SettingsChannel(Command):
    """Say which channels I may be used in. All of them until you name one."""

    channel: ChannelOption = option("Which channel?", max_length=100)
    allowed: bool = option("May I be used there?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(
            services, by, validate_channel(by, self.channel, is_allowed=self.allowed), "channels"
        )
