"""/settings show: what this workspace decided for itself."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import format_settings, get_settings


@command("settings show", rank=Rank.MODERATOR, private=True)
class SettingsShow(Command):
    """Show every setting of this workspace."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        settings = await get_settings(services, invocation.user)
        lines = format_settings(settings, invocation.user, services)
        return Reply(text="\n".join(["This workspace's settings:", *lines]), is_private=True)
