"""/quota export: this workspace's jobs of a month as a table for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.jobs import Job
from bot.core.people import Rank
from bot.core.replies import Reply, TextFile
from bot.credits.pricing import CreditFormatter
from bot.credits.telling import format_job_count
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services

COLUMNS = ("time", "user", "name", "command", "model", "state", "credits", "job")
MAX_ROWS = 50_000

_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@command("quota export", rank=Rank.MODERATOR, private=True)
class QuotaExport(Command):
    """Get what was asked and paid here in a month, as a file."""

    month: str = option("Which month, as in 2026-11? This one if you say nothing.", default="", max_length=7)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.month and not _MONTH.fullmatch(self.month):
            raise BadOption("month is a year and a month, as in 2026-11.", option="month")
        month, jobs = await services.credits.list_jobs(invocation.user, self.month, MAX_ROWS)
        if not jobs:
            return Reply(text=f"Nothing of {month} is kept here.", is_private=True)
        file = TextFile(f"quota-{month}.csv", "text/csv", format_csv(jobs, services.credits.formatter))
        more = f", the newest {MAX_ROWS:,}" if len(jobs) == MAX_ROWS else ""
        return Reply(text=f"{format_job_count(len(jobs))} of {month}{more}.", files=(file,), is_private=True)


def format_csv(jobs: Iterable[Job], form: CreditFormatter) -> str:
    """Comma-separated values, oldest first. A name that a spreadsheet would take for a formula is quoted off."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for job in sorted(jobs, key=lambda job: job.created_at):
        paid = f"{(job.cost_micros or 0) / form.micros_per_credit:.4f}".rstrip("0").rstrip(".")
        asked = f"{job.created_at:%Y-%m-%dT%H:%M:%SZ}"
        row = (asked, job.user.id, job.user.name, job.command, job.model, job.state.value, paid, job.id)
        writer.writerow([_escape_formula(cell) for cell in row])
    return out.getvalue()


def _escape_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
