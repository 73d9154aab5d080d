"""Records the votes of people on chat answers, and lists the votes for moderators."""

from bot.core.clock import Clock
from bot.core.errors import BadOption
from bot.core.jobs import Job, Vote
from bot.core.people import User
from bot.storage.conversations import FeedbackRow
from bot.storage.database import Database


class Feedback:
    """The votes on chat answers: one for each person and answer, which the person may change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, user: User, job: Job, vote: Vote | None, reason: str | None, *, is_private: bool) -> Vote:
        """Store a vote, a reason, or both; return the vote. Another vote than before drops the earlier reason.

        `is_private` hides the vote from moderators. Raise `BadOption` for a reason without a vote, now or before.
        """
        async with self._database.write() as tx:
            before = await tx.feedback.find(job.id, user)
            if vote is None and before is None:
                raise BadOption("Say whether the answer was good or not: vote up or down.", option="vote")
            chosen = vote or (before[0] if before else Vote.DOWN)
            kept = before[1] if before and before[0] is chosen else ""
            await tx.feedback.put(
                job.id,
                user,
                chosen,
                kept if reason is None else reason,
                self._clock.now(),
                is_private=is_private,
            )
        return chosen

    async def list_shown(self, by: User, votes: list[Vote], limit: int) -> list[FeedbackRow]:
        """Return the votes in the workspace of `by`, newest first, without votes on private answers."""
        async with self._database.read() as tx:
            return await tx.feedback.list_shown(by.platform, by.workspace, votes, limit)
