"""/quota channel set: which commands and models may be used in a channel."""

from bot.commands.quota.names import channel_meant, commands_named, models_named
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.naming import channel_named
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import COMMANDS, MODELS
from bot.credits.policies import About
from bot.credits.telling import one_line, values_told
from bot.dispatch.declaration import Command, Place, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import an_id


@command("quota channel set", rank=Rank.MODERATOR, private=True)
class QuotaChannelSet(Command):
    """Say which commands and models may be used in a channel."""

    channel: Place | None = option("Which channel? This one if you say nothing.", default=None, max_length=100)
    models: str | None = option("Which models? Names, or `all`.", default=None, max_length=1_000)
    commands: str | None = option("Which commands that make jobs? Names, or `all`.", default=None, max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        values: dict[str, JSON] = {}
        if self.models is not None:
            values[MODELS] = models_named(self.models, services)
        if self.commands is not None:
            values[COMMANDS] = commands_named(self.commands, services)
        if not values:
            raise BadOption("Say which models or commands.")
        channel = an_id(by.platform, channel_meant(self.channel, invocation), "channel")
        about = About(by.platform, by.workspace, "channel", channel)
        await credits_.change(about, values, by)
        told = one_line(values_told(await credits_.set_about(about), credits_.form), otherwise="everything")
        return Reply(text=f"In {channel_named(by.platform, channel)}: {told}.", is_private=True)
