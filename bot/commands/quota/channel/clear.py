"""/quota channel clear: everything may be used in a channel again."""

from bot.commands.quota.names import resolve_channel
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.naming import format_channel
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.policies import PolicyTarget
from bot.dispatch.declaration import ChannelOption, Command, command, option
from bot.dispatch.services import Services


@command("quota channel clear", rank=Rank.MODERATOR, private=True)
class QuotaChannelClear(Command):
    """Allow every command and model in a channel again."""

    channel: ChannelOption | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        channel = resolve_channel(self.channel, invocation)
        about = PolicyTarget(by.platform, by.workspace, "channel", channel)
        is_set = await services.credits.get_values(about)
        if not is_set:
            raise BadOption(f"Nothing is set for {format_channel(by.platform, channel)}.", option="channel")
        await services.credits.change(about, dict.fromkeys(is_set), by)
        return Reply(
            text=f"Every command and model may be used in {format_channel(by.platform, channel)} again.",
            is_private=True,
        )
