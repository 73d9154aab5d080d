"""Conversations with their turns, and the messages of the web page."""

import sqlalchemy as sa

from bot.core.conversations import Role
from bot.storage.tables.columns import Key, flag, json_column, key, metadata, one_of, time, words

conversations = sa.Table(
    "conversations",
    metadata,
    key("id", is_primary=True),
    key("platform"),
    key("workspace"),
    key("channel"),
    key("thread"),
    key("model"),
    words("system"),
    key("starter"),
    time("created_at"),
    sa.Index("conversations_place", "platform", "workspace", "channel", "thread", unique=True),
)

turns = sa.Table(
    "turns",
    metadata,
    key("id", is_primary=True),
    sa.Column("conversation", Key, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    key("parent"),
    key("job"),
    key("role"),
    key("user"),
    words("text"),
    json_column("files", default="[]"),
    key("platform_message"),
    time("created_at"),
    sa.CheckConstraint(one_of("role", Role), name="turns_role"),
    sa.Index("turns_of_conversation", "conversation", "created_at", "id"),
)
_has_job = sa.text("job <> ''")
sa.Index("turns_job_role", turns.c.job, turns.c.role, unique=True, sqlite_where=_has_job, postgresql_where=_has_job)
_has_message = sa.text("platform_message <> ''")
sa.Index(
    "turns_platform_message",
    turns.c.conversation,
    turns.c.platform_message,
    unique=True,
    sqlite_where=_has_message,
    postgresql_where=_has_message,
)

# The page is its own Discord: no other server keeps what was said there.
page_messages = sa.Table(
    "page_messages",
    metadata,
    key("id", is_primary=True),
    key("channel"),
    key("user"),
    key("job"),
    flag("is_from_bot"),
    json_column("reply", default="{}"),
    time("created_at"),
    time("updated_at"),
    sa.Index("page_messages_of_channel", "channel", "created_at", "id"),
    sa.Index("page_messages_of_user", "user", "channel"),
)
