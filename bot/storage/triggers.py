"""The triggers that guard money: the ledger moves accounts, nothing else does, and what is written stays.

CHECK constraints on `accounts` then refuse overdrafts, and unique indexes on `ledger` a second hold or close.
`batch_alter_table` drops all of these without a word on SQLite, so they are checked at every start.
"""

import sqlalchemy as sa

from bot.core.errors import LedgerTriggersMissing
from bot.storage.connection import Connection

_MOVED = "'the ledger refuses: money moves by its rows only'"
_FINAL = "'the ledger refuses: its rows are final'"
_EMPTY = "'the ledger refuses: an account starts empty'"
_CLOSE = "'the ledger refuses: a close must equal its hold'"

_NO_EQUAL_HOLD = """
    NOT EXISTS (SELECT 1 FROM ledger AS hold WHERE hold.kind = 'hold' AND hold.job = NEW.job
                AND hold.account = NEW.account AND hold.held_delta_micros = -NEW.held_delta_micros)"""

_IS_NOT_FROM_LEDGER = """
    NEW.entry = OLD.entry OR NOT EXISTS (
        SELECT 1 FROM ledger WHERE id = NEW.entry AND account = NEW.id
        AND NEW.balance_micros = OLD.balance_micros + balance_delta_micros
        AND NEW.held_micros = OLD.held_micros + held_delta_micros
        AND NEW.granted_micros = OLD.granted_micros
            + CASE WHEN kind IN ('grant', 'adjust') THEN balance_delta_micros ELSE 0 END)"""

_APPLY = """
    UPDATE accounts SET
        balance_micros = balance_micros + NEW.balance_delta_micros,
        held_micros = held_micros + NEW.held_delta_micros,
        granted_micros = granted_micros
            + CASE WHEN NEW.kind IN ('grant', 'adjust') THEN NEW.balance_delta_micros ELSE 0 END,
        entry = NEW.id
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
WHEN NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.entry <> 0
BEGIN
    SELECT RAISE(ABORT, {_EMPTY});
END""",
    "accounts_moved_by_ledger": f"""
CREATE TRIGGER accounts_moved_by_ledger
BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, entry ON accounts
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

# name: (when, function)
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
        " WHEN (NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.entry <> 0)",
        "accounts_start_empty",
    ),
    "accounts_moved_by_ledger": (
        "BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, entry ON accounts FOR EACH ROW",
        "accounts_moved_by_ledger",
    ),
}

_READ_SQLITE = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
_READ_POSTGRESQL = sa.text(
    "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgrelid IN ('ledger'::regclass, 'accounts'::regclass)"
    " AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
)


def statements(dialect: str) -> list[str]:
    """What creates the triggers on `sqlite` or `postgresql`, one statement each, none with a blank line."""
    if dialect == "sqlite":
        return [body.strip() for body in _SQLITE.values()]
    functions = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$" for name, body in _FUNCTIONS.items()
    ]
    triggers = [
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function}()" for name, (when, function) in _POSTGRESQL.items()
    ]
    return functions + triggers


async def check_guards(connection: Connection) -> None:
    """Raises `LedgerUnguarded`, naming the triggers that are missing, switched off or changed."""
    if connection.dialect.name == "sqlite":
        expected = {name: body.strip() for name, body in _SQLITE.items()}
        rows = await connection.execute(_READ_SQLITE)
    else:
        expected = {name: _FUNCTIONS[function] for name, (_, function) in _POSTGRESQL.items()}
        rows = await connection.execute(_READ_POSTGRESQL)
    found = {row[0]: row[1] for row in rows}
    broken = sorted(name for name, body in expected.items() if found.get(name) != body)
    if broken:
        raise LedgerTriggersMissing(
            f"The database lost what guards its money ({', '.join(broken)}). Restore a backup, or ask for help: "
            "starting like this could spend without limit."
        )
