"""/feedback: votes on chat answers, with reasons; moderators list and export the votes of their workspace."""

import csv
import io

from bot.core.errors import BadOption, JobNotFound
from bot.core.invocations import Invocation
from bot.core.jobs import VOTE_LABELS, Job, JobState, Vote
from bot.core.models import Task
from bot.core.people import Rank, User
from bot.core.replies import Reply, TextFile
from bot.core.text import escape_formula, sanitize_text
from bot.core.time_format import load_time_zone
from bot.dispatch.declaration import Command, Services, command, option
from bot.dispatch.workspace_settings import get_settings
from bot.storage.conversations import FeedbackRow

_COLUMNS = ("time", "user", "name", "vote", "reason", "model", "question", "job")
_MAX_EXPORTED = 5_000
_MAX_SHOWN_QUESTION = 60
_NOTHING = "Nobody has voted on an answer here. 👍 and 👎 stand under the answers of /chat."


@command("feedback give", private=True)
class FeedbackGive(Command):
    """Say whether a chat answer was good, and why. Moderators read it."""

    vote: str | None = option("Good or bad?", default=None, choices=tuple(Vote))
    job: str | None = option("Which answer? Your latest if you say nothing.", default=None, max_length=40)
    reason: str | None = option("Why?", default=None, max_length=500)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        user, jobs = invocation.user, services.jobs
        job = await jobs.find(user, self.job) if self.job else await _find_latest_answer(user, services)
        if job is None and not self.job:
            raise JobNotFound("None of your latest jobs is an answer of /chat. /show lists them.")
        if job is None or not await jobs.is_visible(job, user, invocation.channel):
            raise JobNotFound(f"There is no answer called “{self.job}” that you can see here. /show lists your jobs.")
        if not _takes_votes(job):
            raise BadOption("Votes go to finished answers of /chat: name the job of one.", option="job")
        vote = await services.moderation.feedback.record(
            user, job, Vote(self.vote) if self.vote else None, self.reason, is_private=await jobs.is_secret(job)
        )
        return Reply(text=f"{VOTE_LABELS[vote]} Thank you: it is noted.", is_private=True)


@command("feedback list", rank=Rank.MODERATOR, private=True)
class FeedbackList(Command):
    """List the latest votes on chat answers, without private chats."""

    vote: str | None = option("Which votes? Both if you say nothing.", default=None, choices=tuple(Vote))
    count: int = option("How many?", default=10, minimum=1, maximum=25)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        votes = [Vote(self.vote)] if self.vote else list(Vote)
        rows = await services.moderation.feedback.list_shown(by, votes, self.count)
        if not rows:
            return Reply(text=_NOTHING, is_private=True)
        zone = load_time_zone((await get_settings(services, by)).time_zone)
        lines = [
            f"- {row.at.astimezone(zone):%d %b %H:%M} · {_format_row(row, services)} · `{row.job}`" for row in rows
        ]
        return Reply(text="\n".join(lines), is_private=True)


@command("feedback export", rank=Rank.MODERATOR, private=True)
class FeedbackExport(Command):
    """Get the votes on chat answers as a file, without private chats."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        rows = await services.moderation.feedback.list_shown(invocation.user, list(Vote), _MAX_EXPORTED)
        if not rows:
            return Reply(text=_NOTHING, is_private=True)
        file = TextFile("feedback.csv", "text/csv", _format_csv(rows))
        more = ", the newest" if len(rows) == _MAX_EXPORTED else ""
        noun = "vote" if len(rows) == 1 else "votes"
        return Reply(text=f"{len(rows):,} {noun}{more}.", files=(file,), is_private=True)


async def _find_latest_answer(user: User, services: Services) -> Job | None:
    return next(filter(_takes_votes, await services.jobs.list_recent(user)), None)


def _takes_votes(job: Job) -> bool:
    return job.command == Task.CHAT and job.state in (JobState.FINISHED, JobState.DELIVERED)


def _format_row(row: FeedbackRow, services: Services) -> str:
    question = _flatten(row.question)
    shown = question if len(question) <= _MAX_SHOWN_QUESTION else f"{question[:_MAX_SHOWN_QUESTION]}…"
    facts = (
        f"{VOTE_LABELS[row.vote]} {row.user_name or 'somebody'}",
        services.catalogue.get(row.model).title,
        f"“{shown}”" if shown else "",
        f"because: “{_flatten(row.reason)}”" if row.reason else "",
    )
    return sanitize_text(" · ".join(filter(None, facts)))


def _format_csv(rows: list[FeedbackRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        cells = (row.user, row.user_name, row.vote.value, row.reason, row.model, row.question, row.job)
        writer.writerow([f"{row.at:%Y-%m-%dT%H:%M:%SZ}", *map(escape_formula, cells)])
    return out.getvalue()


def _flatten(text: str) -> str:
    return " ".join(text.split())
