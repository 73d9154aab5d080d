"""/quota channel set: which commands and models may be used in a channel."""

from bot.commands.quota.names import parse_commands, parse_models, resolve_channel
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.naming import format_channel
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import COMMANDS, MODELS
from bot.credits.policies import PolicyTarget
from bot.credits.telling import format_values, join_phrases
from bot.dispatch.declaration import ChannelOption, Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import require_id


@command("quota channel set", rank=Rank.MODERATOR, private=True)
class QuotaChannelSet(Command):
    """Say which commands and models may be used in a channel."""

    channel: ChannelOption | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    commands: str | None = option("Which commands that make jobs? Names, or `all`.", default=None, max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values: dict[str, JSON] = {}
        if self.models is not None:
            values[MODELS] = parse_models(self.models, services)
        if self.commands is not None:
            values[COMMANDS] = parse_commands(self.commands, services)
        if not values:
            raise BadOption("Say which models or commands.")
        channel = require_id(by.platform, resolve_channel(self.channel, invocation), "channel")
        about = PolicyTarget(by.platform, by.workspace, "channel", channel)
        await credits_.change(about, values, by)
        told = join_phrases(format_values(await credits_.get_values(about), credits_.formatter), otherwise="everything")
        return Reply(text=f"In {format_channel(by.platform, channel)}: {told}.", is_private=True)
