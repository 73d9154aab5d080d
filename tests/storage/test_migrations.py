"""Tests the migrations: a migrated database equals a newly created database."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from bot.storage import jobs, schema
from bot.storage.connection import Connection
from bot.storage.database import ConnectedEngine, Database, connect
from bot.storage.tables.columns import metadata
from tests.storage.raw import count_open_jobs, execute

SQLITE = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
POSTGRESQL = (
    "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, collation_name"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
)


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[ConnectedEngine]:
    engine = await connect(url, timeout_seconds=5)
    yield engine
    await engine.close()


async def read_schema(connection: Connection) -> list[list[Any]]:
    """Read the whole schema from the engine's catalogue, with normalised spacing."""
    questions = (SQLITE,) if connection.dialect.name == "sqlite" else POSTGRESQL
    answers = [await connection.exec_driver_sql(question) for question in questions]
    return [[tuple(re.sub(r"\s*([\s(),])\s*", r"\1", str(value)) for value in row) for row in rows] for rows in answers]


async def clear(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        await connection.exec_driver_sql("CREATE SCHEMA public")
        return
    await connection.run_sync(metadata.drop_all)
    await connection.exec_driver_sql("DROP TABLE alembic_version")


async def test_a_migrated_schema_equals_a_created_schema(empty_database_url: str) -> None:
    async with open_engine(empty_database_url) as engine, engine.write() as connection:
        await schema.prepare(connection)
        created = await read_schema(connection)
        await clear(connection)
        await connection.run_sync(schema.upgrade)
        migrated = await read_schema(connection)
        await schema.check_triggers(connection)

    assert migrated == created
    assert set(metadata.tables) <= {value for part in migrated for row in part for value in row}


async def test_an_old_database_is_migrated(empty_database_url: str) -> None:
    async with open_engine(empty_database_url) as engine, engine.write() as connection:
        await connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    database = Database(empty_database_url)

    await database.open()

    assert await execute(database, "SELECT version_num FROM alembic_version") == [(schema.list_revisions()[-1],)]
    async with database.read() as tx:
        assert await count_open_jobs(tx) == 0
    await database.close()


def test_the_revisions_are_the_files_in_order() -> None:
    assert schema.list_revisions()[0] == "0001"


@pytest.mark.parametrize(
    ("statement", "index"),
    [(jobs._SELECT_CANCEL_REQUESTED, "jobs_open"), (jobs._SELECT_DEAD_OWNERS, "jobs_unfinished")],
    ids=["cancel requested", "dead owners"],
)
async def test_open_jobs_are_found_by_their_partial_index(tmp_path: Path, statement: Any, index: str) -> None:
    database = Database(f"sqlite:///{(tmp_path / 'easel.db').as_posix()}")
    await database.open()
    spelled = str(statement.compile(dialect=sqlite.dialect())).replace("?", "'1'")

    plan = await execute(database, f"EXPLAIN QUERY PLAN {spelled}")

    assert index in str(plan)
    await database.close()
