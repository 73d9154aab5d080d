"""/settings show: what this workspace decided for itself."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import settings_of, told


@command("settings show", rank=Rank.MODERATOR, private=True)
class SettingsShow(Command):
    """Show every setting of this workspace."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        settings = await settings_of(services, invocation.user)
        lines = told(settings, invocation.user, services)
        return Reply(text="\n".join(["This workspace's settings:", *lines]), is_private=True)
