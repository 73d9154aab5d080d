"""/settings reset: one setting as it was at first."""

from bot.core.errors import RequestRefused
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import SETTINGS, change_and_reply, get_settings
from bot.moderation.settings import format_setting_key


@command("settings reset", rank=Rank.MODERATOR, private=True)
class SettingsReset(Command):
    """Set one setting back to its default."""

    setting: str = option("Which setting?", choices=SETTINGS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, name = invocation.user, self.setting
        before = await get_settings(services, by)
        value = getattr(before, name)
        members = [format_setting_key(name, member) for member in value] if name in _OF_MEMBERS else []
        is_only_by_role = invocation.rank is Rank.MODERATOR and not by.is_administrator
        if name == "moderator_roles" and is_only_by_role:
            raise RequestRefused(
                "A role is what makes you a moderator: an administrator of this workspace can reset that."
            )
        return await change_and_reply(services, by, dict.fromkeys([format_setting_key(name), *members]), name)


_OF_MEMBERS = frozenset({"channels", "moderator_roles", "default_models"})
