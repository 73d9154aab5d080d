"""Tables of jobs, their messages, predictions and outputs, and of the processes that work on them."""

import sqlalchemy as sa

from bot.core.jobs import OPEN_STATES, JobState, MessageState
from bot.storage.tables.columns import (
    Key,
    Micros,
    Reference,
    count,
    flag,
    json_column,
    key,
    metadata,
    micros,
    one_of,
    time,
    words,
)

_OPEN = ", ".join(repr(state.value) for state in JobState if state in OPEN_STATES)

IS_OPEN = f"state IN ({_OPEN})"
"""Spelled out, not bound: SQLite uses a partial index only where a query repeats its condition word for word."""

IS_WAITED_FOR = f"(state IN ({_OPEN}, 'finished') OR state IN ('failed', 'cancelled') AND notified_at IS NULL)"
"""The user was not told the result yet. A failed or cancelled job is told when `notified_at` is set."""

jobs = sa.Table(
    "jobs",
    metadata,
    key("id", is_primary=True),
    key("request_key"),
    key("press_key"),
    key("parent_job"),
    count("source_output"),  # which of the parent's outputs a button acted on, from 1
    key("platform"),
    key("workspace"),
    key("channel"),
    key("thread"),
    flag("is_age_restricted"),
    flag("is_reply_chain"),
    key("user"),
    key("user_workspace"),  # Slack Connect: people may come from another workspace than the channel's
    words("user_name"),
    key("locale"),
    json_column("roles", default="[]"),
    flag("is_administrator"),
    key("command"),
    json_column("options", default="{}"),
    key("model"),
    key("backend"),
    json_column("inputs", default="{}"),
    sa.Column("prediction", Reference, sa.ForeignKey("predictions.id"), nullable=True),
    key("conversation"),
    key("state"),
    flag("is_private"),
    micros("estimate_micros"),
    micros("max_micros"),
    sa.Column("cost_micros", Micros, nullable=True),
    count("weight", default=1),
    sa.Column("queue_time", sa.Float, nullable=True),
    key("reuse_key"),  # identical requests of a workspace share it; empty: the result is not reused
    key("reuses"),  # the finished job whose result answers this one
    key("owner"),
    count("epoch"),
    count("attempts"),
    time("run_after", is_optional=True),
    key("cancel_by"),
    words("error"),
    time("notified_at", is_optional=True),
    time("created_at"),
    time("updated_at"),
    time("forgotten_at", is_optional=True),  # when its words were taken out
    # A line "state time" for each state reached. A table of its own took an INSERT, and 12 % more of the CPU, a job.
    words("steps"),
    sa.CheckConstraint(one_of("state", JobState), name="jobs_state"),
    sa.CheckConstraint("estimate_micros >= 0 AND max_micros >= 0", name="jobs_told_not_negative"),
    sa.CheckConstraint("cost_micros >= 0", name="jobs_cost_not_negative"),
    sa.CheckConstraint("weight >= 0", name="jobs_weight_not_negative"),
    sa.Index("jobs_request_key", "request_key", unique=True),
    sa.Index("jobs_of_user", "platform", "user_workspace", "user", "created_at"),
    sa.Index("jobs_of_channel", "platform", "workspace", "channel", "created_at"),
    sa.Index("jobs_of_prediction", "prediction"),
)

_is_open_press = sa.text(f"press_key <> '' AND {IS_OPEN}")
sa.Index("jobs_press_key", jobs.c.press_key, unique=True, sqlite_where=_is_open_press, postgresql_where=_is_open_press)
sa.Index("jobs_open", jobs.c.owner, sqlite_where=sa.text(IS_OPEN), postgresql_where=sa.text(IS_OPEN))
sa.Index(
    "jobs_waited_for",
    jobs.c.created_at,
    sqlite_where=sa.text(IS_WAITED_FOR),
    postgresql_where=sa.text(IS_WAITED_FOR),
)

_is_remembered = sa.text("forgotten_at IS NULL")
sa.Index("jobs_remembered", jobs.c.created_at, sqlite_where=_is_remembered, postgresql_where=_is_remembered)

_may_be_reused = sa.text("reuse_key <> ''")
sa.Index(
    "jobs_reuse_key",
    *(jobs.c.platform, jobs.c.workspace, jobs.c.reuse_key),
    sqlite_where=_may_be_reused,
    postgresql_where=_may_be_reused,
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("job", Key, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    key("platform"),
    key("workspace"),
    key("channel"),
    key("thread"),
    key("message"),
    sa.Column("token", sa.Text, nullable=False, server_default=""),  # a secret, erased when it expires
    time("token_expires_at", is_optional=True),
    key("unposted_for"),  # the user, while the message is not posted because no text has arrived
    key("unposted_for_workspace"),
    flag("is_original_response"),
    json_column("stream", default="{}"),  # what a platform wrote down to go on with it after a crash
    key("state"),
    count("start"),
    count("end"),
    words("opening"),
    sa.CheckConstraint(one_of("state", MessageState), name="messages_state"),
    sa.CheckConstraint('part >= 0 AND start >= 0 AND "end" >= 0', name="messages_range"),
    sa.Index("messages_address", "platform", "workspace", "channel", "message"),
)
_has_token = sa.text("token <> ''")
sa.Index("messages_token", messages.c.token_expires_at, sqlite_where=_has_token, postgresql_where=_has_token)

# Confirmations and open modals: what was asked, until it is answered or expires.
pending = sa.Table(
    "pending",
    metadata,
    key("id", is_primary=True),
    key("kind"),
    key("platform"),
    key("workspace"),
    key("channel"),
    key("user"),
    json_column("facts", default="{}"),
    time("created_at"),
    time("expires_at"),
    sa.Index("pending_expires_at", "expires_at"),
)

# One heartbeat row for each living process; its id is name + boot uuid, never used twice.
workers = sa.Table(
    "workers",
    metadata,
    key("id", is_primary=True),
    json_column("serves", default="[]"),  # the platforms it can speak for
    time("beat_at"),
)

# The ids of webhooks that came in, so that a repeated one does nothing.
inbox = sa.Table(
    "inbox",
    metadata,
    key("id", is_primary=True),
    key("job"),
    time("received_at"),
    sa.Index("inbox_received_at", "received_at"),
)


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
    sa.Column("cost_micros", Micros, nullable=True),
    time("created_at"),
    time("submitted_at", is_optional=True),
    sa.CheckConstraint("cost_micros >= 0", name="predictions_cost_not_negative"),
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
