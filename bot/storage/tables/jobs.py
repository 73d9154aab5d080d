"""Defines the tables of jobs, messages, pending actions, workers, webhooks, predictions and outputs."""

import sqlalchemy as sa

from bot.core.jobs import OPEN_STATES, JobState, MessageState
from bot.storage.tables.columns import (
    Key,
    Micros,
    Reference,
    count_column,
    flag_column,
    format_enum_check,
    json_column,
    key_column,
    metadata,
    micros_column,
    text_column,
    time_column,
)

_OPEN = ", ".join(repr(state.value) for state in JobState if state in OPEN_STATES)

# Literal SQL, no bound values: SQLite uses a partial index only for a query with the index's condition word for word.
IS_OPEN = f"state IN ({_OPEN})"
"""The job may still run, and credits are held for the job."""

IS_UNFINISHED = f"(state IN ({_OPEN}, 'finished') OR state IN ('failed', 'cancelled') AND notified_at IS NULL)"
"""The user was not told the result yet. A failed or cancelled job is told when `notified_at` is set."""

jobs = sa.Table(
    "jobs",
    metadata,
    key_column("id", is_primary=True),
    key_column("request_key"),
    key_column("press_key"),
    key_column("parent_job"),
    key_column("platform"),
    key_column("workspace"),
    key_column("channel"),
    key_column("thread"),
    flag_column("is_age_restricted"),
    flag_column("is_reply_chain"),
    key_column("user"),
    key_column("user_workspace"),  # differs from `workspace` in a channel shared by Slack Connect
    text_column("user_name"),
    key_column("locale"),
    json_column("roles", default="[]"),
    flag_column("is_administrator"),
    key_column("command"),
    json_column("options", default="{}"),
    key_column("model"),
    key_column("backend"),
    json_column("inputs", default="{}"),
    sa.Column("prediction", Reference, sa.ForeignKey("predictions.id"), nullable=True),
    key_column("conversation"),
    key_column("state"),
    flag_column("is_private"),
    micros_column("estimate_micros"),
    micros_column("max_micros"),
    sa.Column("cost_micros", Micros, nullable=True),
    count_column("weight", default=1),
    sa.Column("queue_time", sa.Float, nullable=True),
    key_column("reuse_key"),  # shared by identical requests of a workspace; empty: the result is not reused
    key_column("reuses"),  # the finished job whose result answers this job
    key_column("owner"),
    count_column("epoch"),
    count_column("attempts"),
    time_column("run_after", is_optional=True),
    key_column("cancel_by"),
    text_column("error"),
    time_column("notified_at", is_optional=True),
    time_column("created_at"),
    time_column("updated_at"),
    time_column("erased_at", is_optional=True),  # retention or the user's request removed all words of the job
    # One line "state time" for each state reached, appended by the same UPDATE that changes the state. A table of
    # steps needed one INSERT more for each state: 12 % of the CPU of a job.
    text_column("steps"),
    sa.CheckConstraint(format_enum_check("state", JobState), name="jobs_state"),
    sa.CheckConstraint("estimate_micros >= 0 AND max_micros >= 0", name="jobs_estimate_not_negative"),
    sa.CheckConstraint("cost_micros >= 0", name="jobs_cost_not_negative"),
    sa.CheckConstraint("weight >= 0", name="jobs_weight_not_negative"),
    # A platform delivers an event again after a lost acknowledgement: the second job is refused here.
    sa.Index("jobs_request_key", "request_key", unique=True),
    sa.Index("jobs_of_person", "platform", "user", "created_at", "id", "user_workspace"),
    # The last three columns answer "who spent how much" from the index alone.
    sa.Index("jobs_of_workspace", "platform", "user_workspace", "created_at", "user", "cost_micros", "state"),
    sa.Index("jobs_of_channel", "platform", "workspace", "channel", "created_at"),
    sa.Index("jobs_of_prediction", "prediction"),
)

# Two people may press one button at the same moment: only one open job per press.
_is_open_press = sa.text(f"press_key <> '' AND {IS_OPEN}")
sa.Index("jobs_press_key", jobs.c.press_key, unique=True, sqlite_where=_is_open_press)
sa.Index("jobs_open", jobs.c.owner, sqlite_where=sa.text(IS_OPEN))
sa.Index(
    "jobs_open_of_user",
    *(jobs.c.platform, jobs.c.user_workspace, jobs.c.user, jobs.c.created_at),
    sqlite_where=sa.text(IS_OPEN),
)
sa.Index(
    "jobs_unfinished",
    jobs.c.created_at,
    sqlite_where=sa.text(IS_UNFINISHED),
)

# Retention looks for the oldest jobs with words left, among millions without.
_has_words = sa.text("erased_at IS NULL")
sa.Index("jobs_not_erased", jobs.c.created_at, sqlite_where=_has_words)

_may_be_reused = sa.text("reuse_key <> ''")
sa.Index(
    "jobs_reuse_key",
    *(jobs.c.platform, jobs.c.workspace, jobs.c.reuse_key),
    sqlite_where=_may_be_reused,
)

# Erasing a chat job blanks the quotes in the other jobs of the conversation.
IS_OF_CONVERSATION = "conversation <> ''"
_is_of_conversation = sa.text(IS_OF_CONVERSATION)
sa.Index(
    "jobs_of_conversation",
    jobs.c.conversation,
    sqlite_where=_is_of_conversation,
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("job", Key, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    key_column("platform"),
    key_column("workspace"),
    key_column("channel"),
    key_column("thread"),
    key_column("message"),
    sa.Column("token", sa.Text, nullable=False, server_default=""),  # a secret, erased on expiry
    time_column("token_expires_at", is_optional=True),
    key_column("unposted_for"),  # the user, while the message is not posted because no text has arrived
    key_column("unposted_for_workspace"),
    flag_column("is_original_response"),
    json_column("notes", default="{}"),  # the platform's own state of the message, for going on after a crash
    key_column("state"),
    count_column("start"),
    count_column("end"),
    text_column("opening"),
    sa.CheckConstraint(format_enum_check("state", MessageState), name="messages_state"),
    sa.CheckConstraint('part >= 0 AND start >= 0 AND "end" >= 0', name="messages_range"),
    # The message before the channel: a Discord event in a thread names another channel than the row.
    sa.Index("messages_of_address", "platform", "message", "channel", "workspace"),
)
_has_token = sa.text("token <> ''")
sa.Index("messages_token", messages.c.token_expires_at, sqlite_where=_has_token)

# Confirmations, open modals and unfinished erasures, until the answer or the expiry.
pending = sa.Table(
    "pending",
    metadata,
    key_column("id", is_primary=True),
    key_column("kind"),
    key_column("platform"),
    key_column("workspace"),
    key_column("channel"),
    key_column("user"),
    json_column("facts", default="{}"),
    time_column("created_at"),
    time_column("expires_at"),
    sa.Index("pending_expires_at", "expires_at"),
)

# One heartbeat row per living process. The id is name + boot uuid: a reused id would make a dead owner look alive.
workers = sa.Table(
    "workers",
    metadata,
    key_column("id", is_primary=True),
    time_column("beat_at"),
)

# The ids of received webhooks: a backend sends a webhook again after a lost answer.
inbox = sa.Table(
    "inbox",
    metadata,
    key_column("id", is_primary=True),
    key_column("job"),
    time_column("received_at"),
    sa.Index("inbox_received_at", "received_at"),
)

# Ended jobs that wait for a workspace's own webhook. No words: each attempt reads the job, which may be erased by then.
webhook_posts = sa.Table(
    "webhook_posts",
    metadata,
    sa.Column("job", Key, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    key_column("platform"),
    key_column("workspace"),
    count_column("attempts"),
    time_column("created_at"),
    time_column("due_at"),
    sa.Index("webhook_posts_of_workspace", "platform", "workspace", "due_at"),
)

# No CHECK on `state`: each backend has words of its own.
predictions = sa.Table(
    "predictions",
    metadata,
    key_column("id", is_primary=True),
    key_column("backend"),
    key_column("backend_id"),
    key_column("model"),
    key_column("fingerprint"),
    json_column("inputs", default="{}"),
    key_column("state"),
    sa.Column("predict_seconds", sa.Float, nullable=True),
    sa.Column("cost_micros", Micros, nullable=True),
    time_column("created_at"),
    time_column("submitted_at", is_optional=True),
    sa.CheckConstraint("cost_micros >= 0", name="predictions_cost_not_negative"),
    sa.CheckConstraint("predict_seconds >= 0", name="predictions_seconds_not_negative"),
    sa.Index("predictions_fingerprint", "fingerprint"),
)
# One run belongs to one prediction: a webhook and adoption after a crash may both try to bind the run.
_has_backend_id = sa.text("backend_id <> ''")
sa.Index(
    "predictions_backend_id",
    predictions.c.backend,
    predictions.c.backend_id,
    unique=True,
    sqlite_where=_has_backend_id,
)

outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("prediction", Key, sa.ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    key_column("sha256"),
    key_column("mime"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    count_column("width"),
    count_column("height"),
    text_column("text"),
    text_column("alt"),
    flag_column("is_flagged"),
    time_column("expires_at", is_optional=True),
    sa.Column("duration_seconds", sa.Float),
    sa.CheckConstraint("n >= 1 AND size_bytes >= 0 AND width >= 0 AND height >= 0", name="outputs_not_negative"),
    sa.Index("outputs_sha256", "sha256"),
    sa.Index("outputs_expires_at", "expires_at"),
)

model_times = sa.Table(
    "model_times",
    metadata,
    key_column("model", is_primary=True),
    sa.Column("seconds", sa.Float, nullable=False),
)
