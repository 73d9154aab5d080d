"""Who asks and where, and what was set about them."""

import sqlalchemy as sa

from bot.storage.tables.columns import Key, flag, json_column, key, metadata, time, words

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
