"""/quota role clear: a role gives nothing of its own any more; it may be gone already."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.naming import role_named
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.limits import NAME
from bot.credits.policies import About
from bot.dispatch.declaration import Command, Role, command, option
from bot.dispatch.services import Services


@command("quota role clear", rank=Rank.MODERATOR, private=True)
class QuotaRoleClear(Command):
    """Take away what a role gives."""

    role: Role = option("Which role or user group?", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        about, named = About(by.platform, by.workspace, "role", self.role), role_named(by.platform, self.role)
        is_set = await services.credits.set_about(about)
        if not is_set:
            raise BadOption(f"Nothing is set for {named}.", option="role")
        await services.credits.change(about, dict.fromkeys(is_set), by)
        return Reply(text=f"{is_set.get(NAME) or named} gives nothing of its own any more.", is_private=True)
