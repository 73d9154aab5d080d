"""Creates, migrates and checks the schema at every start, with the triggers of the ledger.

The triggers: only ledger rows move accounts, and ledger rows are final. CHECK constraints on `accounts` then refuse
overdrafts, and unique indexes on `ledger` refuse a second hold or close. On SQLite, Alembic's `batch_alter_table` drops
triggers without a warning: every start checks all of them.
"""

from pathlib import Path

import sqlalchemy as sa

from bot.core.errors import InternalError, LedgerTriggersMissing
from bot.storage.connection import Connection
from bot.storage.tables import jobs, ledger, people  # noqa: F401 - importing each file adds its tables to the metadata
from bot.storage.tables.columns import metadata

# Triggers of the ledger.

_MOVED = "'the ledger refuses: money moves by its rows only'"
_FINAL = "'the ledger refuses: its rows are final'"
_EMPTY = "'the ledger refuses: an account starts empty'"
_CLOSE = "'the ledger refuses: a close must equal its hold'"

# A settle or release must give back exactly the held amount, or money would stay held for ever.
_NO_EQUAL_HOLD = """
    NOT EXISTS (SELECT 1 FROM ledger AS hold WHERE hold.kind = 'hold' AND hold.job = NEW.job
                AND hold.account = NEW.account AND hold.held_delta_micros = -NEW.held_delta_micros)"""

# An account's amounts change together with `last_entry`, by exactly the deltas of a new ledger row.
_IS_NOT_FROM_LEDGER = """
    NEW.last_entry = OLD.last_entry OR NOT EXISTS (
        SELECT 1 FROM ledger WHERE id = NEW.last_entry AND account = NEW.id
        AND NEW.balance_micros = OLD.balance_micros + balance_delta_micros
        AND NEW.held_micros = OLD.held_micros + held_delta_micros
        AND NEW.granted_micros = OLD.granted_micros
            + CASE WHEN kind IN ('grant', 'adjust') THEN balance_delta_micros ELSE 0 END)"""

_APPLY = """
    UPDATE accounts SET balance_micros = balance_micros + NEW.balance_delta_micros,
        held_micros = held_micros + NEW.held_delta_micros,
        granted_micros = granted_micros
            + CASE WHEN NEW.kind IN ('grant', 'adjust') THEN NEW.balance_delta_micros ELSE 0 END,
        last_entry = NEW.id
    WHERE id = NEW.account;"""

_SQLITE = {
    "ledger_close_equals_hold": f"""
CREATE TRIGGER ledger_close_equals_hold BEFORE INSERT ON ledger WHEN NEW.kind IN ('settle', 'release')
BEGIN
    SELECT RAISE(ABORT, {_CLOSE}) WHERE{_NO_EQUAL_HOLD};
END""",
    "ledger_moves_account": f"""
CREATE TRIGGER ledger_moves_account AFTER INSERT ON ledger
BEGIN{_APPLY}
END""",
    "ledger_no_update": f"""
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, {_FINAL});
END""",
    "ledger_no_delete": f"""
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, {_FINAL});
END""",
    "accounts_start_empty": f"""
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts
WHEN NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.last_entry <> 0
BEGIN
    SELECT RAISE(ABORT, {_EMPTY});
END""",
    "accounts_moved_by_ledger": f"""
CREATE TRIGGER accounts_moved_by_ledger
BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, last_entry ON accounts
BEGIN
    SELECT RAISE(ABORT, {_MOVED}) WHERE NEW.id <> OLD.id OR{_IS_NOT_FROM_LEDGER};
END""",
}

_FUNCTIONS = {
    "ledger_close_equals_hold": f"""
BEGIN
    IF{_NO_EQUAL_HOLD} THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {_CLOSE};
    END IF;
    RETURN NEW;
END""",
    "ledger_moves_account": f"""
BEGIN{_APPLY}
    RETURN NULL;
END""",
    "ledger_is_final": f"""
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {_FINAL};
END""",
    "accounts_start_empty": f"""
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {_EMPTY};
END""",
    "accounts_moved_by_ledger": f"""
BEGIN
    IF NEW.id <> OLD.id OR{_IS_NOT_FROM_LEDGER} THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {_MOVED};
    END IF;
    RETURN NEW;
END""",
}

# The name of each trigger, with its event and function.
_POSTGRESQL = {
    "ledger_close_equals_hold": (
        "BEFORE INSERT ON ledger FOR EACH ROW WHEN (NEW.kind IN ('settle', 'release'))",
        "ledger_close_equals_hold",
    ),
    "ledger_moves_account": ("AFTER INSERT ON ledger FOR EACH ROW", "ledger_moves_account"),
    "ledger_no_change": ("BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW", "ledger_is_final"),
    "ledger_no_truncate": ("BEFORE TRUNCATE ON ledger FOR EACH STATEMENT", "ledger_is_final"),
    "accounts_start_empty": (
        "BEFORE INSERT ON accounts FOR EACH ROW"
        " WHEN (NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.last_entry <> 0)",
        "accounts_start_empty",
    ),
    "accounts_moved_by_ledger": (
        "BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, last_entry ON accounts FOR EACH ROW",
        "accounts_moved_by_ledger",
    ),
}

_READ_SQLITE = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
# `tgenabled` 'O' (origin) and 'A' (always): the trigger fires in ordinary sessions
# (postgresql.org/docs/current/catalog-pg-trigger.html).
_READ_POSTGRESQL = sa.text(
    "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgrelid IN ('ledger'::regclass, 'accounts'::regclass)"
    " AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
)


def list_statements(dialect: str) -> list[str]:
    """List the statements that create the triggers on `sqlite` or `postgresql`.

    No statement contains a blank line: blank lines separate statements in the migration's SQL files.
    """
    if dialect == "sqlite":
        return [body.strip() for body in _SQLITE.values()]
    functions = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$" for name, body in _FUNCTIONS.items()
    ]
    triggers = [
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function}()" for name, (when, function) in _POSTGRESQL.items()
    ]
    return functions + triggers


async def check_triggers(connection: Connection) -> None:
    """Raise `LedgerTriggersMissing` with the names of all missing, disabled or changed triggers."""
    if connection.dialect.name == "sqlite":
        expected = {name: body.strip() for name, body in _SQLITE.items()}
        rows = await connection.execute(_READ_SQLITE)
    else:
        expected = {name: _FUNCTIONS[function] for name, (_, function) in _POSTGRESQL.items()}
        rows = await connection.execute(_READ_POSTGRESQL)
    found = {row[0]: row[1] for row in rows}
    wrong = sorted(name for name, body in expected.items() if found.get(name) != body)
    if wrong:
        raise LedgerTriggersMissing(
            f"The database lost what guards its money ({', '.join(wrong)}). Restore a backup, or ask for help: "
            "starting like this could spend without limit."
        )


# Schema.

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK_ID = 0x0EA5E1  # an arbitrary number, used by no other advisory lock

_FIND_VERSION_TABLE = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}
# The table as Alembic itself creates it: later migrations go through Alembic.
_CREATE_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


async def prepare(connection: Connection) -> None:
    """Create or migrate the schema within the transaction of `connection`, then check the ledger's triggers.

    Raises `LedgerTriggersMissing`, or `InternalError` for a database of a newer Easel.
    """
    if connection.dialect.name == "postgresql":
        # Of several processes that start together, the first creates the schema and the others wait here.
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_ID})")
    found = await _read_revision(connection)
    known = list_revisions()
    if found is None:
        await _create(connection, known[-1])
    elif found and found not in known:
        raise InternalError(f"This database is of version {found}, newer than this Easel knows: please update Easel.")
    elif found != known[-1]:
        await connection.run_sync(upgrade)
    await check_triggers(connection)


def list_revisions() -> list[str]:
    """List the numbers of all migrations, oldest first: the file `0001_everything.py` is revision `0001`."""
    return sorted(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Run the missing migrations up to `revision`, within the transaction of `connection`."""
    # Imported only for a migration: importing Alembic takes longer than checking an up-to-date schema.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def _read_revision(connection: Connection) -> str | None:
    """Read the database's revision: None for an empty database, an empty string before the first migration."""
    if (await connection.exec_driver_sql(_FIND_VERSION_TABLE[connection.dialect.name])).first() is None:
        return None
    row = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else ""


async def _create(connection: Connection, revision: str) -> None:
    # Without Alembic, for a quick first start. A test compares the result with the schema made by all migrations.
    _copy_index_conditions(connection.dialect.name)
    await connection.run_sync(metadata.create_all, checkfirst=False)
    for statement in list_statements(connection.dialect.name):
        await connection.exec_driver_sql(statement)
    await connection.exec_driver_sql(_CREATE_VERSION_TABLE)
    await connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _copy_index_conditions(dialect: str) -> None:
    """Give the partial indexes, which the tables define for SQLite, the same conditions on another engine."""
    # A `postgresql_where` in the tables would load PostgreSQL's dialect in every bot: see postgresql.py.
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        index.dialect_options[dialect]["where"] = index.dialect_options["sqlite"]["where"]
