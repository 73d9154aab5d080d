"""/settings prompt: what chat models are told before each conversation."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import changed
from bot.moderation.settings import key_of


@command("settings prompt", rank=Rank.MODERATOR, private=True)
class SettingsPrompt(Command):
    """Say how chat models behave here. New conversations begin with it."""

    prompt: str = option("What should they be told?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await changed(services, by, {key_of("system_prompt"): self.prompt}, "system_prompt")
