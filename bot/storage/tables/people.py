"""Tables of people and workspaces, settings, moderation, conversations and the web page."""

import sqlalchemy as sa

from bot.core.invocations import TurnRole
from bot.storage.tables.columns import Key, Serial, Words, flag, json_column, key, metadata, one_of, time, words

workspaces = sa.Table(
    "workspaces",
    metadata,
    key("platform", is_primary=True),
    key("id", is_primary=True),
    flag("allowed"),
    time("allowed_at", is_optional=True),
    json_column("moderator_roles", default="[]"),
    json_column("settings", default="{}"),
    sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"),
    time("removed_at", is_optional=True),
)

# One row for each workspace a person was seen in: a block is the workspace's own decision.
users = sa.Table(
    "users",
    metadata,
    key("platform", is_primary=True),
    key("workspace", is_primary=True),
    key("id", is_primary=True),
    words("name"),
    words("name_folded"),
    key("locale"),
    time("blocked_until", is_optional=True),
    words("block_reason"),
    time("seen_at", is_optional=True),
    sa.Index("users_name", "platform", "workspace", "name_folded"),
)

installations = sa.Table(
    "installations",
    metadata,
    key("platform", is_primary=True),
    key("workspace", is_primary=True),
    key("enterprise", is_primary=True),
    sa.Column("secrets", sa.LargeBinary, nullable=True),  # encrypted; erased when removed
    json_column("facts", default="{}"),
    key("installed_by"),
    time("installed_at"),
    time("removed_at", is_optional=True),
)

# Whom the web page knows by invitation. The page is the only platform that keeps its own list of people.
visitors = sa.Table(
    "visitors",
    metadata,
    key("id", is_primary=True),
    words("name"),
    words("name_folded"),
    key("rank"),
    time("invited_at"),
    time("joined_at", is_optional=True),
    sa.CheckConstraint("rank IN ('user', 'moderator', 'owner')", name="visitors_rank"),
    sa.Index("visitors_name", "name_folded", unique=True),
)

# SHA-256 of what opens the page: an invitation until it expires or is used, a cookie until the person is removed.
visitor_keys = sa.Table(
    "visitor_keys",
    metadata,
    key("sha256", is_primary=True),
    sa.Column("visitor", Key, sa.ForeignKey("visitors.id", ondelete="CASCADE"), nullable=False),
    flag("is_invitation"),
    time("expires_at", is_optional=True),
    sa.Index("visitor_keys_of_visitor", "visitor"),
)

policies = sa.Table(
    "policies",
    metadata,
    key("platform", is_primary=True),
    key("workspace", is_primary=True),
    key("scope", is_primary=True),
    key("scope_id", is_primary=True),
    key("key", is_primary=True),
    json_column("value", default="null"),
    key("by"),
    time("at"),
    sa.CheckConstraint("scope IN ('bot', 'workspace', 'channel', 'role', 'user')", name="policies_scope"),
)

# A web request, a command a minute: how often, never money (that is the ledger's). A number, since the engines do not
# add to a time in the same words.
rate_limits = sa.Table(
    "rate_limits",
    metadata,
    key("key", is_primary=True),
    sa.Column("free_at", sa.Float, nullable=False),  # seconds since 1970: when all that was let through is paid off
)


refused_words = sa.Table(
    "words",
    metadata,
    key("platform", is_primary=True),
    key("workspace", is_primary=True),
    sa.Column("word", Words, primary_key=True),
    key("by"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    key("what", is_primary=True),
    words("reason"),
    key("by"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    key("platform"),
    key("workspace"),
    key("actor"),
    key("action"),
    json_column("facts", default="{}"),
    time("at"),
    sa.Index("audit_of_workspace", "platform", "workspace", "at"),
)


conversations = sa.Table(
    "conversations",
    metadata,
    key("id", is_primary=True),
    key("platform"),
    key("workspace"),
    key("channel"),
    key("thread"),
    flag("is_reply_chain"),
    key("model"),
    words("system"),
    key("starter"),
    time("created_at"),
    sa.Index("conversations_place", "platform", "workspace", "channel", "thread", "is_reply_chain", unique=True),
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
    sa.CheckConstraint(one_of("role", TurnRole), name="turns_role"),
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
