"""/settings moderators: whose members may do what moderators do."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, RoleOption, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply, get_settings, validate_moderator_role


@command("settings moderators", rank=Rank.MODERATOR, private=True)
class SettingsModerators(Command):
    """Make a role's members moderators. This workspace's administrators always are."""

    role: RoleOption = option("Which role or user group?", max_length=100)
    moderates: bool = option("Are its members moderators?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        before = await get_settings(services, by)
        return await change_and_reply(
            services,
            by,
            validate_moderator_role(invocation, before, self.role, moderates=self.moderates),
            "moderator_roles",
        )
