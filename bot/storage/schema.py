"""Creates, migrates and checks the schema at every start."""

from pathlib import Path

import sqlalchemy as sa

from bot.core.errors import InternalError
from bot.storage import triggers
from bot.storage.connection import Connection
from bot.storage.tables import jobs, ledger, people  # noqa: F401 - importing each file adds its tables to the metadata
from bot.storage.tables.columns import metadata

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
    await triggers.check_triggers(connection)


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
    for statement in triggers.list_statements(connection.dialect.name):
        await connection.exec_driver_sql(statement)
    await connection.exec_driver_sql(_CREATE_VERSION_TABLE)
    await connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _copy_index_conditions(dialect: str) -> None:
    """Give the partial indexes, which the tables define for SQLite, the same conditions on another engine."""
    # A `postgresql_where` in the tables would load PostgreSQL's dialect in every bot: see postgresql.py.
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        index.dialect_options[dialect]["where"] = index.dialect_options["sqlite"]["where"]
