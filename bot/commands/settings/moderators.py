"""/settings moderators: whose members may do what moderators do."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Role, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import changed, moderators, settings_of


@command("settings moderators", rank=Rank.MODERATOR, private=True)
class SettingsModerators(Command):
    """Make a role's members moderators. This workspace's administrators always are."""

    role: Role = option("Which role or user group?", max_length=100)
    moderates: bool = option("Are its members moderators?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        before = await settings_of(services, by)
        return await changed(
            services, by, moderators(invocation, before, self.role, moderates=self.moderates), "moderator_roles"
        )
