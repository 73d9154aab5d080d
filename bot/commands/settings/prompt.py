"""/settings prompt: what chat models are told before each conversation."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply
from bot.moderation.settings import format_setting_key


@command("settings prompt", rank=Rank.MODERATOR, private=True)
class SettingsPrompt(Command):
    """Say how chat models behave here. New conversations begin with it."""

    prompt: str = option("What should they be told?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(services, by, {format_setting_key("system_prompt"): self.prompt}, "system_prompt")
