"""/quota show: one person, or everything that is set here."""

from bot.core.invocations import Invocation
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.credits.policies import About
from bot.credits.telling import budget_told, one_line, values_told
from bot.dispatch.declaration import Command, Person, command, option
from bot.dispatch.services import Services

MOST_SHOWN = 25


@command("quota show", rank=Rank.MODERATOR, private=True)
class QuotaShow(Command):
    """Show what somebody has left and may do, or all limits here."""

    user: Person | None = option("Whom? Everything that is set if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.user:
            person = await services.credits.wallets.person(invocation.user, self.user)
            return Reply(text=await _person(person, services), is_private=True)
        return Reply(text=await _everything(invocation.user, services), is_private=True)


async def _person(person: User, services: Services) -> str:
    """Roles are known while somebody asks, and not of others: so the tier is the one of everybody."""
    credits_ = services.credits
    form, statement = credits_.form, await credits_.statement(person)
    own = await credits_.set_about(About(person.platform, person.workspace, "user", person.id))
    left, allowance = form.show(statement.today_left), form.show(statement.today_allowance)
    extra, spent = form.show(statement.extra_left), form.show(statement.spent_this_month)
    lines = [
        f"**{person.name}** has {left} of {allowance} credits left today, {extra} extra, and spent {spent} this month.",
        f"Own limits: {one_line(values_told(own, form), otherwise='none')}.",
    ]
    lines += [
        budget_told(budget, form, statement.limits.time_zone).replace("Your limit", "Limit")
        for budget in statement.budgets
        if budget.scope == "user"
    ]
    return "\n".join(lines)


async def _everything(by: User, services: Services) -> str:
    overview = await services.credits.overview(by.platform, by.workspace)
    form = services.credits.form
    lines = [f"This workspace: {one_line(values_told(overview.workspace, form), otherwise='no budget of its own')}."]
    for title, groups, called in (
        ("Roles", overview.roles, overview.role),
        ("Channels", overview.channels, overview.channel),
        ("People", overview.people, overview.person),
    ):
        if groups:
            lines += ["", f"**{title}**"]
            lines += [
                f"- {called(name)}: {one_line(values_told(values, form), otherwise='nothing')}"
                for name, values in list(groups.items())[:MOST_SHOWN]
            ]
            if len(groups) > MOST_SHOWN:
                lines.append(f"- and {len(groups) - MOST_SHOWN} more")
    return "\n".join(lines)
