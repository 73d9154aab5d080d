"""/quota show: one person, or everything that is set here."""

from bot.core.invocations import Invocation
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.credits.policies import PolicyTarget
from bot.credits.telling import format_budget, format_values, join_phrases
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services

MAX_SHOWN = 25


@command("quota show", rank=Rank.MODERATOR, private=True)
class QuotaShow(Command):
    """Show what somebody has left and may do, or all limits here."""

    user: PersonOption | None = option("Whom? Everything that is set if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.user:
            person = await services.credits.wallets.find_user(invocation.user, self.user)
            return Reply(text=await _format_person(person, services), is_private=True)
        return Reply(text=await _format_overview(invocation.user, services), is_private=True)


async def _format_person(person: User, services: Services) -> str:
    """Roles are known while somebody asks, and not of others: so the tier is the one of everybody."""
    credits_ = services.credits
    form, statement = credits_.formatter, await credits_.get_statement(person)
    own = await credits_.get_values(PolicyTarget(person.platform, person.workspace, "user", person.id))
    left, allowance = form.format(statement.today_available_micros), form.format(statement.daily_allowance_micros)
    extra, spent = form.format(statement.extra_available_micros), form.format(statement.spent_this_month_micros)
    lines = [
        f"**{person.name}** has {left} of {allowance} credits left today, {extra} extra, and spent {spent} this month.",
        f"Own limits: {join_phrases(format_values(own, form), otherwise='none')}.",
    ]
    lines += [
        format_budget(budget, form, statement.limits.time_zone).replace("Your limit", "Limit")
        for budget in statement.budgets
        if budget.scope == "user"
    ]
    return "\n".join(lines)


async def _format_overview(by: User, services: Services) -> str:
    overview = await services.credits.get_overview(by.platform, by.workspace)
    form = services.credits.formatter
    lines = [
        f"This workspace: {join_phrases(format_values(overview.workspace, form), otherwise='no budget of its own')}."
    ]
    for title, groups, called in (
        ("Roles", overview.roles, overview.format_role),
        ("Channels", overview.channels, overview.format_channel),
        ("People", overview.people, overview.format_person),
    ):
        if groups:
            lines += ["", f"**{title}**"]
            lines += [
                f"- {called(name)}: {join_phrases(format_values(values, form), otherwise='nothing')}"
                for name, values in list(groups.items())[:MAX_SHOWN]
            ]
            if len(groups) > MAX_SHOWN:
                lines.append(f"- and {len(groups) - MAX_SHOWN} more")
    return "\n".join(lines)
