"""The schema at start: made when there is none, brought up to date when it is old, checked always."""

from pathlib import Path

import sqlalchemy as sa

from bot.core.errors import InternalError
from bot.storage import triggers
from bot.storage.connection import Connection
from bot.storage.tables import jobs, ledger, people  # noqa: F401 - an import adds the file's tables to the metadata
from bot.storage.tables.columns import metadata

_MIGRATIONS = Path(__file__).with_name("migrations")
_OUR_LOCK = 0x0EA5E1  # any number that nobody else takes

_HAS_VERSION = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}
_MAKE_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


async def prepare(connection: Connection) -> None:
    """Make or migrate the schema within the transaction of `connection`, then check what guards the money.

    Raises `LedgerUnguarded`, or `Fault` when a newer Easel made this database.
    """
    if connection.dialect.name == "postgresql":
        # Processes that start together wait for the first to be done.
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_OUR_LOCK})")
    found = await _revision(connection)
    known = revisions()
    if found is None:
        await _create(connection, known[-1])
    elif found and found not in known:
        raise InternalError(f"This database is of version {found}, newer than this Easel knows: please update Easel.")
    elif found != known[-1]:
        await connection.run_sync(upgrade)
    await triggers.check_guards(connection)


def revisions() -> list[str]:
    """The numbers of all migrations, oldest first: a file `0001_everything.py` is revision `0001`."""
    return sorted(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


async def _revision(connection: Connection) -> str | None:
    """None where no schema was ever made, empty before the first migration."""
    if (await connection.exec_driver_sql(_HAS_VERSION[connection.dialect.name])).first() is None:
        return None
    row = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else ""


async def _create(connection: Connection, revision: str) -> None:
    # Not through Alembic, whose import alone takes longer than all of this; a test keeps both ways equal.
    await connection.run_sync(metadata.create_all, checkfirst=False)
    for statement in triggers.statements(connection.dialect.name):
        await connection.exec_driver_sql(statement)
    await connection.exec_driver_sql(_MAKE_VERSION)
    await connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Run the missing migrations up to `revision`, within the transaction of `connection`."""
    # Alembic takes longer to import than an existing schema takes to check.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
