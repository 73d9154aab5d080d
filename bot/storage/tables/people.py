"""Defines the tables of workspaces, people, settings, moderation, conversations and the web page."""

import sqlalchemy as sa

from bot.core.invocations import TurnRole
from bot.core.jobs import Vote
from bot.storage.tables.columns import (
    FreeText,
    Key,
    Serial,
    actor_column,
    flag_column,
    format_enum_check,
    json_column,
    key_column,
    metadata,
    micros_column,
    text_column,
    time_column,
)

workspaces = sa.Table(
    "workspaces",
    metadata,
    key_column("platform", is_primary=True),
    key_column("id", is_primary=True),
    flag_column("is_allowed"),
    time_column("allowed_at", is_optional=True),
    time_column("removed_at", is_optional=True),
)

# One row per user and workspace: a block is the decision of one workspace.
users = sa.Table(
    "users",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    key_column("id", is_primary=True),
    text_column("name"),
    text_column("name_folded"),
    key_column("locale"),
    time_column("blocked_until", is_optional=True),
    text_column("block_reason"),
    time_column("seen_at", is_optional=True),
    sa.Index("users_name", "platform", "workspace", "name_folded"),
)

installations = sa.Table(
    "installations",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    key_column("enterprise", is_primary=True),
    sa.Column("secrets", sa.LargeBinary, nullable=True),  # encrypted; NULL after the removal
    json_column("facts", default="{}"),
    key_column("installed_by"),
    time_column("installed_at"),
    time_column("removed_at", is_optional=True),
)

# The invited people of the web page, the only platform without a user list elsewhere.
visitors = sa.Table(
    "visitors",
    metadata,
    key_column("id", is_primary=True),
    text_column("name"),
    text_column("name_folded"),
    key_column("rank"),
    time_column("invited_at"),
    time_column("joined_at", is_optional=True),
    sa.CheckConstraint("rank IN ('user', 'moderator', 'owner')", name="visitors_rank"),
    sa.Index("visitors_name", "name_folded", unique=True),
)

# SHA-256 of invitations (until use or expiry) and of cookies (until the visitor's removal). A copy of the database
# lets nobody in.
visitor_keys = sa.Table(
    "visitor_keys",
    metadata,
    key_column("sha256", is_primary=True),
    sa.Column("visitor", Key, sa.ForeignKey("visitors.id", ondelete="CASCADE"), nullable=False),
    flag_column("is_invitation"),
    time_column("expires_at", is_optional=True),
    sa.Index("visitor_keys_of_visitor", "visitor"),
)

policies = sa.Table(
    "policies",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    key_column("scope", is_primary=True),
    key_column("scope_id", is_primary=True),
    key_column("key", is_primary=True),
    json_column("value", default="null"),
    actor_column("by"),
    time_column("at"),
    sa.CheckConstraint("scope IN ('bot', 'workspace', 'channel', 'role', 'user')", name="policies_scope"),
)

# How often a key may act, never money: amounts belong in the ledger. `free_at` is seconds since 1970, since the two
# engines have no common SQL for adding seconds to a timestamp.
rate_limits = sa.Table(
    "rate_limits",
    metadata,
    key_column("key", is_primary=True),
    sa.Column("free_at", sa.Float, nullable=False),
)

refused_words = sa.Table(
    "refused_words",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    sa.Column("word", FreeText, primary_key=True),
    key_column("by"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    key_column("target", is_primary=True),
    text_column("reason"),
    key_column("by"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    key_column("platform"),
    key_column("workspace"),
    actor_column("actor"),
    key_column("action"),
    json_column("facts", default="{}"),
    time_column("at"),
    sa.Index("audit_of_workspace", "platform", "workspace", "at"),
    sa.Index("audit_of_actor", "actor", "at"),
)

# Models added while the bot runs. Rows stay: jobs of a withdrawn model still need the price that was agreed to.
models = sa.Table(
    "models",
    metadata,
    key_column("key", is_primary=True),
    key_column("platform"),
    key_column("workspace"),
    key_column("ref"),
    key_column("version"),
    json_column("entry", default="{}"),
    json_column("fields", default="[]"),
    micros_column("agreed_micros"),
    actor_column("by"),
    time_column("added_at"),
    time_column("removed_at", is_optional=True),
)

# Saved options of /imagine. A preset without a user is the workspace's; without a workspace, the user's everywhere.
presets = sa.Table(
    "presets",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    key_column("user", is_primary=True),
    key_column("name", is_primary=True),
    json_column("options", default="{}"),
    actor_column("by"),
    time_column("at"),
)

# A workspace's own webhook. The secret signs each post, so it is kept as given; turning the webhook off erases it.
webhooks = sa.Table(
    "webhooks",
    metadata,
    key_column("platform", is_primary=True),
    key_column("workspace", is_primary=True),
    text_column("url"),
    text_column("secret"),
    time_column("added_at"),
    time_column("taken_at", is_optional=True),
    time_column("failed_at", is_optional=True),
    text_column("error"),
)

conversations = sa.Table(
    "conversations",
    metadata,
    key_column("id", is_primary=True),
    key_column("platform"),
    key_column("workspace"),
    key_column("channel"),
    key_column("thread"),
    flag_column("is_reply_chain"),
    key_column("model"),
    text_column("system"),
    key_column("starter"),
    time_column("created_at"),
    sa.Index("conversations_of_starter", "starter"),
    sa.Index("conversations_place", "platform", "workspace", "channel", "thread", "is_reply_chain", unique=True),
)

turns = sa.Table(
    "turns",
    metadata,
    key_column("id", is_primary=True),
    sa.Column("conversation", Key, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    key_column("parent"),
    key_column("job"),
    key_column("role"),
    key_column("user"),
    text_column("text"),
    json_column("files", default="[]"),
    key_column("platform_message"),
    time_column("created_at"),
    sa.CheckConstraint(format_enum_check("role", TurnRole), name="turns_role"),
    sa.Index("turns_of_conversation", "conversation", "created_at", "id"),
    sa.Index("turns_created_at", "created_at"),
)
# The bot's own turns have no user.
IS_SAID_BY_PERSON = "\"user\" <> ''"
_is_said_by_person = sa.text(IS_SAID_BY_PERSON)
sa.Index(
    "turns_of_person",
    *(turns.c.user, turns.c.created_at, turns.c.id),
    sqlite_where=_is_said_by_person,
)
# A retried job adds each of the two turns once.
_has_job = sa.text("job <> ''")
sa.Index("turns_job_role", turns.c.job, turns.c.role, unique=True, sqlite_where=_has_job)
_has_message = sa.text("platform_message <> ''")
sa.Index(
    "turns_platform_message",
    turns.c.conversation,
    turns.c.platform_message,
    unique=True,
    sqlite_where=_has_message,
)

# A vote and its answer are of one workspace: people of other workspaces see no buttons.
feedback = sa.Table(
    "feedback",
    metadata,
    key_column("job", is_primary=True),
    key_column("user", is_primary=True),
    key_column("platform"),
    key_column("workspace"),
    key_column("vote"),
    text_column("reason"),
    flag_column("is_private"),
    time_column("at"),
    sa.CheckConstraint(format_enum_check("vote", Vote), name="feedback_vote"),
    sa.Index("feedback_of_workspace", "platform", "workspace", "at"),
    sa.Index("feedback_of_person", "platform", "user", "workspace"),
)

# The web page has no server elsewhere: messages are kept here for the next reload.
page_messages = sa.Table(
    "page_messages",
    metadata,
    key_column("id", is_primary=True),
    key_column("channel"),
    key_column("user"),
    key_column("job"),
    flag_column("is_from_bot"),
    json_column("reply", default="{}"),
    time_column("created_at"),
    time_column("updated_at"),
    sa.Index("page_messages_of_channel", "channel", "created_at", "id"),
    sa.Index("page_messages_of_user", "user", "channel"),
)

# Contents of files, apart from the messages: a list of messages must not read megabytes of exports.
page_files = sa.Table(
    "page_files",
    metadata,
    sa.Column("message", Key, sa.ForeignKey("page_messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    text_column("text"),
)
