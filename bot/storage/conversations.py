"""Stores conversations, one for each channel and thread, their turns, and the votes of people on answers."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.invocations import Conversation, Turn, TurnRole
from bot.core.jobs import Vote
from bot.core.people import Channel, User
from bot.storage.connection import Rows, Statements
from bot.storage.tables.jobs import jobs
from bot.storage.tables.people import conversations, feedback, turns, users

_PLACE = ("platform", "workspace", "channel", "thread", "is_reply_chain")
_INSERT = insert(conversations).on_conflict_do_nothing(index_elements=_PLACE)
_SELECT_BY_ID = sa.select(conversations).where(conversations.c.id == bindparam("conversation"))
_SELECT_BY_PLACE = sa.select(conversations).where(
    *(conversations.c[name] == bindparam(f"of_{name}") for name in _PLACE)
)
_MOVE = (
    sa.update(conversations)
    .where(conversations.c.id == bindparam("conversation"))
    .values(thread=bindparam("new_thread"), is_reply_chain=bindparam("new_is_reply_chain"))
)
_INSERT_TURN = insert(turns).on_conflict_do_nothing()
_SELECT_TURNS = (
    sa.select(turns)
    .where(turns.c.conversation == bindparam("of_conversation"))
    .order_by(turns.c.created_at.desc(), turns.c.id.desc())
    .limit(bindparam("most"))
)


class ConversationStore:
    """Reads and writes conversations and turns."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post

    async def get_or_create(self, conversation: Conversation, *, is_new: bool = True) -> Conversation:
        """Give the existing conversation of the same channel and thread, or insert `conversation`.

        One statement is enough where `is_new` says rightly whether there is none yet.
        """
        place = (conversation.platform, conversation.workspace, conversation.channel, conversation.thread)
        find = partial(self.find, *place, is_reply_chain=conversation.is_reply_chain)
        if not is_new and (existing := await find()) is not None:
            return existing
        row = {name: getattr(conversation, name) for name in Conversation.__slots__}
        if (await self._run(_INSERT, row)).rowcount:
            return conversation
        return await find() or conversation

    async def get(self, conversation_id: str) -> Conversation | None:
        """Read one conversation."""
        return _parse_first(await self._run(_SELECT_BY_ID, {"conversation": conversation_id}))

    async def find(
        self, platform: str, workspace: str, channel: str, thread: str, *, is_reply_chain: bool = False
    ) -> Conversation | None:
        """Find the conversation of a channel and thread, or of the reply chain that starts at the message `thread`."""
        place = {"of_platform": platform, "of_workspace": workspace, "of_channel": channel, "of_thread": thread}
        return _parse_first(await self._run(_SELECT_BY_PLACE, {**place, "of_is_reply_chain": is_reply_chain}))

    async def move(self, conversation_id: str, channel: Channel) -> None:
        """Give a conversation another place in its channel: the thread or the reply chain of `channel`."""
        place = {"new_thread": channel.thread, "new_is_reply_chain": channel.is_reply_chain}
        await self._post(_MOVE, {"conversation": conversation_id, **place})

    async def add_turn(self, turn: Turn) -> None:
        """Insert a turn. A second turn of the same job and role is ignored."""
        row = {name: getattr(turn, name) for name in Turn.__slots__}
        await self._post(_INSERT_TURN, row | {"role": turn.role.value, "files": list(turn.files)})

    async def list_turns(self, conversation_id: str, limit: int) -> list[Turn]:
        """List the latest `limit` turns of a conversation, oldest first."""
        rows = await self._run(_SELECT_TURNS, {"of_conversation": conversation_id, "most": limit})
        return [_turn_from_row(row) for row in rows][::-1]


def _parse_first(rows: Rows) -> Conversation | None:
    row = rows.first()
    return Conversation(**{name: getattr(row, name) for name in Conversation.__slots__}) if row else None


def _turn_from_row(row: sa.Row[Any]) -> Turn:
    fields = {name: getattr(row, name) for name in Turn.__slots__}
    return Turn(**fields | {"role": TurnRole(row.role), "files": tuple(row.files)})


# Votes on answers.

_insert_vote = insert(feedback)
_UPSERT_VOTE = _insert_vote.on_conflict_do_update(
    index_elements=["job", "user"],
    set_={name: _insert_vote.excluded[name] for name in ("vote", "reason", "is_private", "at")},
)
_SELECT_VOTE = sa.select(feedback.c.vote, feedback.c.reason).where(
    feedback.c.job == bindparam("of_job"), feedback.c.user == bindparam("of_user")
)
_SELECT_SHOWN_VOTES = (
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
        row = (await self._run(_SELECT_VOTE, {"of_job": job, "of_user": user.id})).first()
        return (Vote(row.vote), row.reason) if row else None

    async def put(self, job: str, user: User, vote: Vote, reason: str, at: datetime, *, is_private: bool) -> None:
        """Store a user's vote on an answer, in place of an earlier vote."""
        whose = {"job": job, "user": user.id, "platform": user.platform, "workspace": user.workspace}
        await self._run(_UPSERT_VOTE, {**whose, "vote": vote, "reason": reason, "is_private": is_private, "at": at})

    async def list_shown(self, platform: str, workspace: str, votes: list[Vote], limit: int) -> list[FeedbackRow]:
        """List the votes of a workspace that moderators may see, newest first."""
        facts = {"of_platform": platform, "of_workspace": workspace, "votes": votes, "most": limit}
        return [
            FeedbackRow(
                row.job, row.user, row.user_name, Vote(row.vote), row.reason, row.at, row.model,
                str(row.options.get("message") or ""),
            )
            for row in await self._run(_SELECT_SHOWN_VOTES, facts)
        ]  # fmt: skip
