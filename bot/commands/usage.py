"""/usage: shows the remaining credits, the time of the next refill, and the spending of the month."""

from bot.core.invocations import Invocation
from bot.core.replies import Reply
from bot.core.time_format import format_date, format_time
from bot.credits.formatting import format_budget
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import Statement
from bot.dispatch.declaration import Command, Services, command, option


@command("usage", private=True)
class Usage(Command):
    """Show what you have left, and what it went on."""

    period: str = option("For today or this month?", default="month", choices=("today", "month"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        statement = await services.credits.get_statement(invocation.user)
        return Reply(
            text=_format_statement(statement, services.credits.formatter, with_month=self.period == "month"),
            is_private=True,
        )


def _format_statement(statement: Statement, form: CreditFormatter, *, with_month: bool) -> str:
    left, allowance = form.format(statement.today_available_micros), form.format(statement.daily_allowance_micros)
    zone, tier = statement.limits.time_zone, statement.limits.tier
    lines = [
        f"**{left}** of {allowance} credits left today. They refill at {format_time(statement.refills_at, zone)}."
        + (f" Your tier is **{tier}**." if tier else "")
    ]
    if statement.extra_available_micros:
        lines.append(f"**{form.format(statement.extra_available_micros)}** extra credits, which do not expire.")
    lines += [format_budget(budget, form, zone) for budget in statement.budgets]
    lines += _format_pace(statement)
    if with_month:
        lines += ["", *_format_month(statement, form, zone)]
    return "\n".join(lines)


def _format_pace(statement: Statement) -> list[str]:
    limits = statement.limits
    limits_text = []
    if limits.jobs_at_once is not None:
        limits_text.append(f"{limits.jobs_at_once} at once")
    if limits.jobs_per_minute is not None:
        limits_text.append(f"{limits.jobs_per_minute} a minute")
    return [f"You may run {' and '.join(limits_text)}."] if limits_text else []


def _format_month(statement: Statement, form: CreditFormatter, zone: str) -> list[str]:
    if not statement.usage_by_model:
        return ["Nothing spent this month."]
    refill = format_date(statement.month_refills_at, zone)
    lines = [
        f"Spent this month: **{form.format(statement.spent_this_month_micros)}** credits. The next begins {refill}."
    ]
    for model, jobs, micros in statement.usage_by_model:
        lines.append(f"- {model}: {jobs} {'time' if jobs == 1 else 'times'}, {form.format_amount(micros)}")
    return lines
