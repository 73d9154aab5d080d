"""Defines accounts and the append-only ledger. The triggers in `bot.storage.schema` guard both tables."""

import sqlalchemy as sa

from bot.core.money import AccountKind, EntryKind, ResetPeriod
from bot.storage.tables.columns import (
    Key,
    Micros,
    Serial,
    actor_column,
    format_enum_check,
    json_column,
    key_column,
    metadata,
    micros_column,
    text_column,
    time_column,
)

accounts = sa.Table(
    "accounts",
    metadata,
    key_column("id", is_primary=True),
    key_column("kind"),
    key_column("scope"),
    key_column("platform"),
    key_column("workspace"),
    key_column("user"),
    key_column("window"),
    time_column("expires_at", is_optional=True),
    micros_column("balance_micros"),
    micros_column("held_micros"),
    micros_column("granted_micros"),
    # The ledger row behind the latest change: an UPDATE without a new ledger row is refused by a trigger.
    sa.Column("last_entry", Serial, nullable=False, server_default="0"),
    sa.CheckConstraint(format_enum_check("kind", AccountKind), name="accounts_kind"),
    # The database refuses an overdraft even where the bot's own check was wrong.
    sa.CheckConstraint("balance_micros >= 0", name="accounts_balance_not_negative"),
    sa.CheckConstraint("held_micros >= 0", name="accounts_held_not_negative"),
    sa.CheckConstraint("held_micros <= balance_micros", name="accounts_held_within_balance"),
    sa.CheckConstraint("balance_micros <= granted_micros", name="accounts_balance_within_granted"),
    sa.Index("accounts_of_person", "platform", "user"),
)

# A moderator gives away at most the rest of the workspace's budget, less the grants that nobody has spent yet.
IS_GRANTED = "scope = 'granted'"
_is_granted = sa.text(IS_GRANTED)
sa.Index(
    "accounts_granted",
    *(accounts.c.platform, accounts.c.workspace),
    sqlite_where=_is_granted,
)

# The signs that each kind of row may have.
_SHAPES = """
CASE kind
WHEN 'grant' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = ''
WHEN 'adjust' THEN held_delta_micros = 0
WHEN 'hold' THEN balance_delta_micros = 0 AND held_delta_micros >= 0 AND job <> ''
WHEN 'settle' THEN held_delta_micros <= balance_delta_micros AND balance_delta_micros <= 0 AND job <> ''
WHEN 'release' THEN balance_delta_micros = 0 AND held_delta_micros <= 0 AND job <> ''
WHEN 'expire' THEN balance_delta_micros <= 0 AND held_delta_micros = 0
WHEN 'reset' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = ''
ELSE false END
"""

# `job` and `prediction` are no foreign keys: jobs and predictions may be deleted, ledger rows never.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("account", Key, sa.ForeignKey("accounts.id"), nullable=False),
    key_column("job"),
    key_column("kind"),
    sa.Column("balance_delta_micros", Micros, nullable=False),
    sa.Column("held_delta_micros", Micros, nullable=False),
    sa.Column("key", Key, nullable=False),
    actor_column("actor"),
    key_column("prediction"),  # the lost run with the cost of this row; empty on all other rows
    text_column("reason"),
    key_column("reset_period"),  # set on the row that a reset appends; empty on all other rows
    time_column("at"),
    sa.CheckConstraint(format_enum_check("kind", EntryKind), name="ledger_kind"),
    sa.CheckConstraint(
        "reset_period = '' OR " + format_enum_check("reset_period", ResetPeriod), name="ledger_reset_period"
    ),
    sa.CheckConstraint(" ".join(_SHAPES.split()), name="ledger_shape"),
    sa.Index("ledger_key", "key", unique=True),
    sa.Index("ledger_of_account", "account", "at"),
    sa.Index("ledger_job", "job"),
)

# A job holds once on an account and is closed once: settled or released, never both.
_is_hold = sa.text("kind = 'hold'")
_is_close = sa.text("kind IN ('settle', 'release')")
sa.Index(
    "ledger_hold_once",
    ledger.c.job,
    ledger.c.account,
    unique=True,
    sqlite_where=_is_hold,
)
sa.Index(
    "ledger_close_once",
    ledger.c.job,
    ledger.c.account,
    unique=True,
    sqlite_where=_is_close,
)
# A limit set in the middle of a day or month counts earlier holds of the same actor.
sa.Index("ledger_of_actor", ledger.c.actor, ledger.c.at, sqlite_where=_is_hold)

# One row: up to which ledger row `quota verify` has read all rows without a discrepancy.
ledger_checkpoint = sa.Table(
    "ledger_checkpoint",
    metadata,
    key_column("id", is_primary=True),
    sa.Column("entry", Serial, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    json_column("open_jobs", default="[]"),  # a job that ends without a ledger row is missing among the new rows
    time_column("checked_at"),
    time_column("completed_at"),  # when all rows were last read, and not the new rows alone
)

# The sums of the ledger rows up to the checkpoint, of each account that has not expired. No foreign key: the deletion
# of an account by hand must leave the row.
checkpoint_accounts = sa.Table(
    "checkpoint_accounts",
    metadata,
    key_column("account", is_primary=True),
    *(sa.Column(name, Micros, nullable=False) for name in ("balance_micros", "held_micros", "granted_micros")),
)
