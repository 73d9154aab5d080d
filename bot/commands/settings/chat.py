"""/settings chat: language, who may go on with a conversation, and mentions."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply, validate_language
from bot.moderation.settings import format_setting_key


@command("settings chat", rank=Rank.MODERATOR, private=True)
class SettingsChat(Command):
    """Set the language of answers, who may go on with a conversation, and how a mention is answered."""

    language: str | None = option("Which language do models answer in?", default=None, max_length=40)
    join: str | None = option("Who may go on with it?", default=None, choices=("everyone", "starter"))
    mention: str | None = option("How is a mention answered?", default=None, choices=("thread", "reply", "off"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        values: dict[str, JSON] = validate_language(self.language) if self.language else {}
        values |= {format_setting_key("join"): self.join} if self.join else {}
        values |= {format_setting_key("mention"): self.mention} if self.mention else {}
        if not values:
            raise BadOption("Say what to change: language, join or mention.", option="language")
        return await change_and_reply(services, invocation.user, values, "language", "join", "mention")
