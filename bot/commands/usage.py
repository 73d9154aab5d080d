"""/usage: what is left, when it refills, and what it went on."""

from bot.core.invocations import Invocation
from bot.core.money import Account
from bot.core.replies import Reply
from bot.credits.credits import Statement
from bot.credits.pricing import CreditForm
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
    lines = [f"**{left}** of {allowance} credits left today. They refill at {statement.refills_at:%H:%M} UTC."]
    if statement.extra_left:
        lines.append(f"**{form.show(statement.extra_left)}** extra credits, which do not expire.")
    lines += [_budget(budget, form) for budget in statement.budgets]
    if with_month:
        lines += ["", *_month(statement, form)]
    return "\n".join(lines)


def _budget(budget: Account, form: CreditForm) -> str:
    whose = {"user": "Your limit", "workspace": "This workspace's budget"}[budget.scope]
    return f"{whose} for {budget.window}: {form.show(budget.available)} of {form.show(budget.granted)} credits left."


def _month(statement: Statement, form: CreditForm) -> list[str]:
    if not statement.month:
        return ["Nothing spent this month."]
    total = form.show(sum(micros for _, _, micros in statement.month))
    lines = [f"Spent this month: **{total}** credits."]
    for model, jobs, micros in statement.month:
        lines.append(f"- {model}: {jobs} {'time' if jobs == 1 else 'times'}, {form.show(micros)} credits")
    return lines
