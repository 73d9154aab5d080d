"""/quota budget and /quota export: the monthly budgets of a workspace and of the bot, and the jobs of a month."""

import csv
import io
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.commands.quota.option_values import MAX_BUDGET_CREDITS, parse_micros
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.jobs import JobSummary
from bot.core.people import Rank
from bot.core.replies import Reply, TextFile
from bot.core.text import escape_formula
from bot.core.time_format import format_date
from bot.credits.limits import BOT_MONTH, BOT_TARGET, WORKSPACE_MONTH, PolicyTarget
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import BudgetStatus, format_job_count
from bot.dispatch.declaration import Command, Services, command, option

_COLUMNS = ("time", "user", "name", "command", "model", "state", "credits", "job")
_MAX_ROWS = 50_000
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


@command("quota budget show", rank=Rank.MODERATOR, private=True)
class QuotaBudgetShow(Command):
    """Show this month's budget and what is left of it."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        zone = (await credits_.get_limits(by)).time_zone
        here = await credits_.get_workspace_budget_status(by.platform, by.workspace)
        lines = [_format_status("This workspace", here, credits_.formatter, zone)]
        if invocation.rank >= Rank.OWNER:
            lines.append(
                _format_status("The whole bot", await credits_.get_bot_budget_status(), credits_.formatter, zone)
            )
        return Reply(text="\n".join(lines), is_private=True)


def _format_status(owner: str, status: BudgetStatus, form: CreditFormatter, zone: str) -> str:
    spent, held = form.format(status.spent_micros), form.format(status.held_micros)
    running = f" {held} more are set aside for what is running." if status.held_micros else ""
    if status.limit_micros is None:
        return f"{owner} has no budget of its own, and spent {spent} credits this month.{running}"
    refills = format_date(status.refills_at, zone)
    limit = form.format(status.limit_micros)
    return f"{owner} spent {spent} of {limit} credits this month.{running} It refills {refills}."


@command("quota budget set", rank=Rank.OWNER, private=True)
class QuotaBudgetSet(Command):
    """Say what a workspace, or the whole bot, may spend in a month."""

    credits: float | None = option(
        "How many credits a month? No limit of its own if you say nothing.",
        default=None,
        minimum=0,
        maximum=MAX_BUDGET_CREDITS,
    )
    of: str = option("Whose budget?", default="workspace", choices=("workspace", "bot"))
    workspace: str | None = option(
        "Which workspace, as in discord:GUILD_ID? This one if you say nothing.", default=None, max_length=100
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        credits_ = services.credits
        target, owner = (BOT_TARGET, "The whole bot") if self.of == "bot" else self._find_workspace(invocation)
        # No policy at all means no limit, while a budget of 0 lets nothing pass.
        key = BOT_MONTH if target is BOT_TARGET else WORKSPACE_MONTH
        micros = None if self.credits is None else parse_micros(self.credits, credits_.formatter, "credits")
        await credits_.change(target, {key: micros}, invocation.user)
        if target is BOT_TARGET:
            status = await credits_.get_bot_budget_status()
        else:
            status = await credits_.get_workspace_budget_status(target.platform, target.workspace)
        if status.limit_micros is None:
            return Reply(text=f"{owner} has no budget of its own any more.", is_private=True)
        zone = (await credits_.get_limits(invocation.user)).time_zone
        return Reply(text=_format_new_budget(owner, status, credits_.formatter, zone), is_private=True)

    def _find_workspace(self, invocation: Invocation) -> tuple[PolicyTarget, str]:
        if self.workspace is None:
            return PolicyTarget(invocation.user.platform, invocation.user.workspace, "workspace"), "This workspace"
        platform, _, name = self.workspace.partition(":")
        if not platform or not name:
            raise BadOption("workspace is a platform and an id, as in discord:GUILD_ID.", option="workspace")
        return PolicyTarget(platform, name, "workspace"), self.workspace


def _format_new_budget(owner: str, status: BudgetStatus, form: CreditFormatter, zone: str) -> str:
    spent, limit = form.format(status.spent_micros), form.format(status.limit_micros or 0)
    text = f"{owner} may spend {limit} credits a month, and spent {spent} this month."
    if status.spent_micros < (status.limit_micros or 0):
        return text
    return (
        f"{text} So nothing that costs anything can be asked until it refills {format_date(status.refills_at, zone)}."
    )


@command("quota export", rank=Rank.MODERATOR, private=True)
class QuotaExport(Command):
    """Get what was asked and paid here in a month, as a file."""

    month: str = option("Which month, as in 2026-11? This one if you say nothing.", default="", max_length=7)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.month and not _MONTH.fullmatch(self.month):
            raise BadOption("month is a year and a month, as in 2026-11.", option="month")
        month = self.month or services.credits.get_month()
        jobs = services.credits.stream_jobs(invocation.user, month, _MAX_ROWS)
        # Portion by portion: beside the file's text, only one portion of jobs is in memory.
        async with aclosing(jobs) as portions:
            count, text = await _format_csv(portions, services.credits.formatter)
        if not count:
            return Reply(text=f"Nothing of {month} is kept here.", is_private=True)
        file = TextFile(f"quota-{month}.csv", "text/csv", text)
        more = f", the newest {_MAX_ROWS:,}" if count == _MAX_ROWS else ""
        return Reply(text=f"{format_job_count(count)} of {month}{more}.", files=(file,), is_private=True)


async def _format_csv(portions: AsyncGenerator[list[JobSummary]], form: CreditFormatter) -> tuple[int, str]:
    """Return the number of jobs, and the jobs as comma-separated values in the same order."""
    out, count = io.StringIO(), 0
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    async for jobs in portions:
        count += len(jobs)
        writer.writerows([escape_formula(cell) for cell in _format_row(job, form)] for job in jobs)
    return count, out.getvalue()


def _format_row(job: JobSummary, form: CreditFormatter) -> tuple[str, ...]:
    credits_ = f"{(job.cost_micros or 0) / form.micros_per_credit:.4f}".rstrip("0").rstrip(".")
    time = f"{job.created_at:%Y-%m-%dT%H:%M:%SZ}"
    return (time, job.user, job.user_name, job.command, job.model, job.state.value, credits_, job.id)
