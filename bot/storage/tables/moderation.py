"""Refused words, pauses, and the record of who changed or refused what."""

import sqlalchemy as sa

from bot.storage.tables.columns import Serial, Words, json_column, key, metadata, time, words

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
