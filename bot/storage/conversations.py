"""Conversations: chats that go on, and their turns."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.invocations import Conversation, Turn, TurnRole
from bot.storage.connection import Rows, Statements
from bot.storage.tables.people import conversations, turns

_PLACE = ("platform", "workspace", "channel", "thread", "is_reply_chain")
_OPEN = insert(conversations).on_conflict_do_nothing(index_elements=_PLACE)
_GET = sa.select(conversations).where(conversations.c.id == bindparam("conversation"))
_IN_CHANNEL = sa.select(conversations).where(*(conversations.c[name] == bindparam(f"of_{name}") for name in _PLACE))
_ADD_TURN = insert(turns).on_conflict_do_nothing()
_TURNS = (
    sa.select(turns)
    .where(turns.c.conversation == bindparam("of_conversation"))
    .order_by(turns.c.created_at.desc(), turns.c.id.desc())
    .limit(bindparam("most"))
)


class ConversationStore:
    """Chats and their turns."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def get_or_create(self, conversation: Conversation) -> Conversation:
        """The conversation of this channel and thread; created as given when there is none."""
        row = {name: getattr(conversation, name) for name in Conversation.__slots__}
        if (await self._run(_OPEN, row)).rowcount:
            return conversation
        place = (conversation.platform, conversation.workspace, conversation.channel, conversation.thread)
        return await self.find(*place, is_reply_chain=conversation.is_reply_chain) or conversation

    async def get(self, conversation_id: str) -> Conversation | None:
        return _one(await self._run(_GET, {"conversation": conversation_id}))

    async def find(
        self, platform: str, workspace: str, channel: str, thread: str, *, is_reply_chain: bool = False
    ) -> Conversation | None:
        place = {"of_platform": platform, "of_workspace": workspace, "of_channel": channel, "of_thread": thread}
        return _one(await self._run(_IN_CHANNEL, {**place, "of_is_reply_chain": is_reply_chain}))

    async def add_turn(self, turn: Turn) -> None:
        """Idempotent on (job, role) where a job is given."""
        row = {name: getattr(turn, name) for name in Turn.__slots__}
        await self._run(_ADD_TURN, row | {"role": turn.role.value, "files": list(turn.files)})

    async def list_turns(self, conversation_id: str, limit: int) -> list[Turn]:
        """The latest turns, oldest first."""
        rows = await self._run(_TURNS, {"of_conversation": conversation_id, "most": limit})
        return [_turn(row) for row in rows][::-1]


def _one(rows: Rows) -> Conversation | None:
    row = rows.first()
    return Conversation(**{name: getattr(row, name) for name in Conversation.__slots__}) if row else None


def _turn(row: sa.Row[Any]) -> Turn:
    facts = {name: getattr(row, name) for name in Turn.__slots__}
    return Turn(**facts | {"role": TurnRole(row.role), "files": tuple(row.files)})
