"""Accounts and the append-only ledger that moves them. `bot.storage.triggers` guards both."""

import sqlalchemy as sa

from bot.core.money import AccountKind, EntryKind, ResetPeriod
from bot.storage.tables.columns import Key, Micros, Serial, key, metadata, micros, one_of, time, words

accounts = sa.Table(
    "accounts",
    metadata,
    key("id", is_primary=True),
    key("kind"),
    key("scope"),
    key("platform"),
    key("workspace"),
    key("user"),
    key("window"),
    time("expires_at", is_optional=True),
    micros("balance_micros"),
    micros("held_micros"),
    micros("granted_micros"),
    sa.Column("entry", Serial, nullable=False, server_default="0"),  # the ledger's row that moved it last
    sa.CheckConstraint(one_of("kind", AccountKind), name="accounts_kind"),
    sa.CheckConstraint("balance_micros >= 0", name="accounts_balance_not_negative"),
    sa.CheckConstraint("held_micros >= 0", name="accounts_held_not_negative"),
    sa.CheckConstraint("held_micros <= balance_micros", name="accounts_held_within_balance"),
    sa.CheckConstraint("balance_micros <= granted_micros", name="accounts_balance_within_granted"),
)

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

# `job` is no foreign key: jobs are deleted when their time is up, the ledger never is.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("account", Key, sa.ForeignKey("accounts.id"), nullable=False),
    key("job"),
    key("kind"),
    sa.Column("balance_delta_micros", Micros, nullable=False),
    sa.Column("held_delta_micros", Micros, nullable=False),
    sa.Column("key", Key, nullable=False),
    key("actor"),
    key("prediction"),
    words("reason"),
    key("reset_period"),
    time("at"),
    sa.CheckConstraint(one_of("kind", EntryKind), name="ledger_kind"),
    sa.CheckConstraint("reset_period = '' OR " + one_of("reset_period", ResetPeriod), name="ledger_reset_period"),
    sa.CheckConstraint(" ".join(_SHAPES.split()), name="ledger_shape"),
    sa.Index("ledger_key", "key", unique=True),
    sa.Index("ledger_account", "account"),
    sa.Index("ledger_job", "job"),
)

_is_hold = sa.text("kind = 'hold'")
_is_close = sa.text("kind IN ('settle', 'release')")
sa.Index(
    "ledger_hold_once",
    ledger.c.job,
    ledger.c.account,
    unique=True,
    sqlite_where=_is_hold,
    postgresql_where=_is_hold,
)
sa.Index(
    "ledger_close_once",
    ledger.c.job,
    ledger.c.account,
    unique=True,
    sqlite_where=_is_close,
    postgresql_where=_is_close,
)
# What somebody asked for since a moment: a limit set during a day or a month counts what was spent before it.
sa.Index("ledger_of_asker", ledger.c.actor, ledger.c.at, sqlite_where=_is_hold, postgresql_where=_is_hold)
