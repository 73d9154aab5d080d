"""/quota channel clear: everything may be used in a channel again."""

from bot.commands.quota.names import channel_meant
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.naming import channel_named
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.policies import About
from bot.dispatch.declaration import Command, Place, command, option
from bot.dispatch.services import Services


@command("quota channel clear", rank=Rank.MODERATOR, private=True)
class QuotaChannelClear(Command):
    """Allow every command and model in a channel again."""

    channel: Place | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        channel = channel_meant(self.channel, invocation)
        about = About(by.platform, by.workspace, "channel", channel)
        is_set = await services.credits.set_about(about)
        if not is_set:
            raise BadOption(f"Nothing is set for {channel_named(by.platform, channel)}.", option="channel")
        await services.credits.change(about, dict.fromkeys(is_set), by)
        return Reply(
            text=f"Every command and model may be used in {channel_named(by.platform, channel)} again.", is_private=True
        )
