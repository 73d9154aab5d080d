"""/settings channel: where the bot may be used."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Place, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import changed, channel_allowed


@command("settings channel", rank=Rank.MODERATOR, private=True)
class SettingsChannel(Command):
    """Say which channels I may be used in. All of them until you name one."""

    channel: Place = option("Which channel?", max_length=100)
    allowed: bool = option("May I be used there?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await changed(services, by, channel_allowed(by, self.channel, is_allowed=self.allowed), "channels")
