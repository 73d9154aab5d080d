"""Predictions, what they produced, and how long models usually take."""

import sqlalchemy as sa

from bot.storage.tables.columns import Key, Micros, count, flag, json_column, key, metadata, time, words

# `state` has no CHECK: it is the backend's word.
predictions = sa.Table(
    "predictions",
    metadata,
    key("id", is_primary=True),
    key("backend"),
    key("backend_id"),
    key("model"),
    key("fingerprint"),
    json_column("inputs", default="{}"),
    key("state"),
    sa.Column("predict_seconds", sa.Float, nullable=True),
    json_column("metrics", default="{}"),
    sa.Column("cost", Micros, nullable=True),
    time("created_at"),
    time("submitted_at", is_optional=True),
    sa.CheckConstraint("cost >= 0", name="predictions_cost_not_negative"),
    sa.CheckConstraint("predict_seconds >= 0", name="predictions_seconds_not_negative"),
    sa.Index("predictions_fingerprint", "fingerprint"),
)
_has_backend_id = sa.text("backend_id <> ''")
sa.Index(
    "predictions_backend_id",
    predictions.c.backend,
    predictions.c.backend_id,
    unique=True,
    sqlite_where=_has_backend_id,
    postgresql_where=_has_backend_id,
)

outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("prediction", Key, sa.ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    key("sha256"),
    key("path"),
    key("mime"),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    count("width"),
    count("height"),
    words("text"),
    words("alt"),
    flag("is_flagged"),
    time("expires_at", is_optional=True),
    sa.CheckConstraint("n >= 1 AND size >= 0 AND width >= 0 AND height >= 0", name="outputs_not_negative"),
    sa.Index("outputs_sha256", "sha256"),
    sa.Index("outputs_expires_at", "expires_at"),
)

model_times = sa.Table(
    "model_times",
    metadata,
    key("model", is_primary=True),
    sa.Column("seconds", sa.Float, nullable=False),
)
