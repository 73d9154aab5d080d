"""/usage: what is left, when it refills, and what it went on."""

from bot.core.invocations import Invocation
from bot.core.replies import Reply
from bot.credits.moments import day_told, time_told
from bot.credits.pricing import CreditForm
from bot.credits.statements import Statement
from bot.credits.telling import budget_told
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("usage", private=True)
class Usage(Command):
    """Show what you have left, and what it went on."""

    period: str = option("For today or this month?", default="month", choices=("today", "month"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        statement = await services.credits.statement(invocation.user)
        return Reply(text=_told(statement, services.credits.form, with_month=self.period == "month"), is_private=True)


def _told(statement: Statement, form: CreditForm, *, with_month: bool) -> str:
    left, allowance = form.show(statement.today_left), form.show(statement.today_allowance)
    zone, tier = statement.limits.time_zone, statement.limits.tier
    lines = [
        f"**{left}** of {allowance} credits left today. They refill at {time_told(statement.refills_at, zone)}."
        + (f" Your tier is **{tier}**." if tier else "")
    ]
    if statement.extra_left:
        lines.append(f"**{form.show(statement.extra_left)}** extra credits, which do not expire.")
    lines += [budget_told(budget, form, zone) for budget in statement.budgets]
    lines += _pace(statement)
    if with_month:
        lines += ["", *_month(statement, form, zone)]
    return "\n".join(lines)


def _pace(statement: Statement) -> list[str]:
    limits = statement.limits
    paces = []
    if limits.jobs_at_once is not None:
        paces.append(f"{limits.jobs_at_once} at once")
    if limits.jobs_per_minute is not None:
        paces.append(f"{limits.jobs_per_minute} a minute")
    return [f"You may run {' and '.join(paces)}."] if paces else []


def _month(statement: Statement, form: CreditForm, zone: str) -> list[str]:
    if not statement.month:
        return ["Nothing spent this month."]
    ends = day_told(statement.month_refills_at, zone)
    lines = [f"Spent this month: **{form.show(statement.spent_this_month)}** credits. The next begins {ends}."]
    for model, jobs, micros in statement.month:
        lines.append(f"- {model}: {jobs} {'time' if jobs == 1 else 'times'}, {form.show(micros)} credits")
    return lines
