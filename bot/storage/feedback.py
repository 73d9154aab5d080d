"""Stores the votes of people on chat answers: one for each person and answer."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT compiles on SQLite too

from bot.core.jobs import Vote
from bot.core.people import User
from bot.storage.connection import Statements
from bot.storage.tables.jobs import jobs
from bot.storage.tables.people import feedback, users

_insert = insert(feedback)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["job", "user"],
    set_={name: _insert.excluded[name] for name in ("vote", "reason", "is_private", "at")},
)
_SELECT_ONE = sa.select(feedback.c.vote, feedback.c.reason).where(
    feedback.c.job == bindparam("of_job"), feedback.c.user == bindparam("of_user")
)
_SELECT_SHOWN = (
    sa.select(
        feedback.c.job,
        feedback.c.user,
        sa.func.coalesce(users.c.name, "").label("user_name"),
        feedback.c.vote,
        feedback.c.reason,
        feedback.c.at,
        jobs.c.model,
        jobs.c.options,
    )
    .join(jobs, jobs.c.id == feedback.c.job)
    .outerjoin(
        users,
        sa.and_(
            users.c.platform == feedback.c.platform,
            users.c.workspace == feedback.c.workspace,
            users.c.id == feedback.c.user,
        ),
    )
    .where(
        feedback.c.platform == bindparam("of_platform"),
        feedback.c.workspace == bindparam("of_workspace"),
        sa.not_(feedback.c.is_private),
        feedback.c.vote.in_(bindparam("votes", expanding=True)),
    )
    .order_by(feedback.c.at.desc(), feedback.c.job.desc())
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One vote, as moderators see it. `question` is the question of the answer, empty once erased."""

    job: str
    user: str
    user_name: str
    vote: Vote
    reason: str
    at: datetime
    model: str
    question: str


class FeedbackStore:
    """Reads and writes votes on chat answers."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def find(self, job: str, user: User) -> tuple[Vote, str] | None:
        """Give the vote and the reason of a user about an answer, None without a vote."""
        row = (await self._run(_SELECT_ONE, {"of_job": job, "of_user": user.id})).first()
        return (Vote(row.vote), row.reason) if row else None

    async def put(self, job: str, user: User, vote: Vote, reason: str, at: datetime, *, is_private: bool) -> None:
        """Store a user's vote on an answer, in place of an earlier vote."""
        whose = {"job": job, "user": user.id, "platform": user.platform, "workspace": user.workspace}
        await self._run(_UPSERT, {**whose, "vote": vote, "reason": reason, "is_private": is_private, "at": at})

    async def list_shown(self, platform: str, workspace: str, votes: list[Vote], limit: int) -> list[FeedbackRow]:
        """List the votes of a workspace that moderators may see, newest first."""
        facts = {"of_platform": platform, "of_workspace": workspace, "votes": votes, "most": limit}
        return [
            FeedbackRow(
                row.job, row.user, row.user_name, Vote(row.vote), row.reason, row.at, row.model,
                str(row.options.get("message") or ""),
            )
            for row in await self._run(_SELECT_SHOWN, facts)
        ]  # fmt: skip
