"""/quota role show: the tiers of this workspace, or one of them."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.naming import format_role
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.telling import format_values, join_phrases
from bot.dispatch.declaration import Command, RoleOption, command, option
from bot.dispatch.services import Services


@command("quota role show", rank=Rank.MODERATOR, private=True)
class QuotaRoleShow(Command):
    """Show what roles give."""

    role: RoleOption | None = option(
        "Which role? All that give something if you say nothing.", default=None, max_length=100
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, form = invocation.user, services.credits.formatter
        overview = await services.credits.get_overview(by.platform, by.workspace)
        roles = {role: values for role, values in overview.roles.items() if self.role in (None, role)}
        if not roles:
            raise BadOption(
                f"Nothing is set for {format_role(by.platform, self.role)}."
                if self.role
                else "No role gives anything yet: `/quota role set`."
            )
        lines = [
            f"- {overview.format_role(role)}: {join_phrases(format_values(values, form), otherwise='nothing')}"
            for role, values in roles.items()
        ]
        return Reply(text="\n".join(lines), is_private=True)
