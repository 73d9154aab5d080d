"""/quota role clear: a role gives nothing of its own any more; it may be gone already."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.naming import format_role
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import NAME
from bot.credits.policies import PolicyTarget
from bot.dispatch.declaration import Command, RoleOption, command, option
from bot.dispatch.services import Services


@command("quota role clear", rank=Rank.MODERATOR, private=True)
class QuotaRoleClear(Command):
    """Take away what a role gives."""

    role: RoleOption = option("Which role or user group?", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        about, named = PolicyTarget(by.platform, by.workspace, "role", self.role), format_role(by.platform, self.role)
        is_set = await services.credits.get_values(about)
        if not is_set:
            raise BadOption(f"Nothing is set for {named}.", option="role")
        await services.credits.change(about, dict.fromkeys(is_set), by)
        return Reply(text=f"{is_set.get(NAME) or named} gives nothing of its own any more.", is_private=True)
