"""Tests opening and closing: one schema, one process per SQLite file, all triggers present."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from bot.core.errors import DatabaseInUse, InternalError, LedgerTriggersMissing, Unavailable
from bot.storage import sqlite
from bot.storage.database import Database
from tests.storage.bulk import fill, forget_statistics
from tests.storage.raw import execute
from tests.storage.rows import NOON, make_job

COUNT_STATISTICS = "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'jobs'"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "easel.db"


@pytest.fixture
def file_url(file: Path) -> str:
    return f"sqlite:///{file.as_posix()}"


OPEN = """
import asyncio, sys
from bot.core.errors import DatabaseInUse
from bot.storage.database import Database

async def main():
    database = Database(sys.argv[1])
    try:
        await database.open()
    except DatabaseInUse as error:
        print(error)
        return
    print("opened", [name for name in ("alembic", "asyncpg", "sqlalchemy.dialects.postgresql") if name in sys.modules])
    await database.close()

asyncio.run(main())
"""


def open_elsewhere(url: str) -> str:
    return subprocess.run([sys.executable, "-c", OPEN, url], capture_output=True, text=True, check=True).stdout.strip()


async def test_a_second_process_is_refused_on_sqlite(file: Path, file_url: str) -> None:
    database = Database(file_url)
    await database.open()

    answer = await asyncio.to_thread(open_elsewhere, file_url)

    assert answer.startswith(f"Another Easel is using this database ({file})")
    assert answer.endswith("stop it first, or use PostgreSQL to run several.")
    with pytest.raises(DatabaseInUse):
        await Database(file_url).open()
    await database.close()
    # An up-to-date SQLite database needs neither Alembic nor anything of PostgreSQL.
    assert await asyncio.to_thread(open_elsewhere, file_url) == "opened []"


async def test_written_rows_survive_closing(database_url: str) -> None:
    job = make_job()
    for _ in range(2):
        database = Database(database_url)
        await database.open()
        async with database.write() as tx:
            found = await tx.jobs.get(job.id)
            if not found:
                await tx.jobs.add(job)
        await database.close()
        await database.close()

    assert found == job


async def test_closing_writes_the_log_back_into_the_file(file: Path, file_url: str) -> None:
    database = Database(file_url)
    await database.open()

    await database.close()

    assert [path.name for path in file.parent.iterdir() if path.name.endswith(("-wal", "-shm"))] == []


async def test_processes_starting_together_create_one_schema(postgres_database: str) -> None:
    databases = [Database(postgres_database) for _ in range(4)]

    await asyncio.gather(*(database.open() for database in databases))

    for database in databases:
        assert await execute(database, "SELECT count(*) FROM alembic_version") == [(1,)]
        await database.close()


@pytest.mark.parametrize(
    "harm",
    [
        {
            "sqlite": ["DROP TRIGGER ledger_moves_account"],
            "postgresql": ["DROP TRIGGER ledger_moves_account ON ledger"],
        },
        {
            "sqlite": [
                "DROP TRIGGER ledger_moves_account",
                "CREATE TRIGGER ledger_moves_account AFTER INSERT ON ledger BEGIN SELECT 1; END",
            ],
            "postgresql": ["ALTER TABLE ledger DISABLE TRIGGER ledger_moves_account"],
        },
        {
            "sqlite": [
                "DROP TRIGGER ledger_moves_account",
                "CREATE TRIGGER ledger_moves_account BEFORE UPDATE ON audit BEGIN SELECT 1; END",
            ],
            "postgresql": [
                "CREATE OR REPLACE FUNCTION ledger_moves_account() RETURNS trigger LANGUAGE plpgsql"
                " AS $$BEGIN RETURN NULL; END$$"
            ],
        },
    ],
    ids=["dropped", "switched off", "emptied"],
)
async def test_a_database_without_the_triggers_is_not_opened(
    empty_database_url: str, harm: dict[str, list[str]]
) -> None:
    database = Database(empty_database_url)
    await database.open()
    await execute(database, *harm[empty_database_url.partition(":")[0]])
    await database.close()

    with pytest.raises(LedgerTriggersMissing, match=r"\(ledger_moves_account\)"):
        await database.open()
    with pytest.raises(Unavailable):
        await execute(database, "SELECT 1")


async def test_a_database_of_a_newer_easel_is_not_opened(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    await database.open()
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")
    await database.close()

    with pytest.raises(InternalError, match="version 9999, newer than this Easel"):
        await database.open()


async def test_an_unreachable_server_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Database("postgresql://postgres@127.0.0.1:1/none").open()


async def test_a_wrong_database_name_is_named_in_the_error(postgres_database: str) -> None:
    with pytest.raises(InternalError, match='"nowhere" does not exist'):
        await Database(postgres_database.rpartition("/")[0] + "/nowhere").open()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_sqlite_needs_a_file(url: str) -> None:
    with pytest.raises(Unavailable, match="needs a file"):
        await Database(url).open()


async def test_a_closed_database_is_unavailable(database: Database) -> None:
    await database.close()

    with pytest.raises(Unavailable, match="starting or stopping"):
        async with database.read():
            pass
    with pytest.raises(Unavailable, match="starting or stopping"):
        async with database.write():
            pass


FORGET_TO_CLOSE = """
import asyncio, sys
from bot.storage.database import Database

async def main():
    database = Database(sys.argv[1])
    await database.open()
    async with database.read() as tx:
        await tx.jobs.get("none")
    print("done")

asyncio.run(main())
"""


async def test_a_process_ends_without_closing_the_database(file_url: str) -> None:
    command = [sys.executable, "-c", FORGET_TO_CLOSE, file_url]

    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=30)

    assert ended.stdout == "done\n"


async def test_each_statement_crosses_to_the_thread_of_aiosqlite_once(
    file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(file_url)
    await database.open()
    crossings = []
    cross: Any = aiosqlite.Connection._execute

    def counted(self: aiosqlite.Connection, function: Any, *arguments: Any) -> Any:
        crossings.append(function)
        return cross(self, function, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    async with database.write() as tx:
        await tx.jobs.add(make_job())
        await tx.workers.record_heartbeat("worker", NOON)

    assert len(crossings) == 3  # two statements and the commit
    await database.close()


async def test_statistics_are_collected_after_writes_at_the_end_and_at_the_start(
    file: Path, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITES_PER_ANALYSIS", 5)
    counts = []
    for writes in (5, 1, 0):
        database = Database(file_url)
        await database.open()
        for _ in range(writes):
            async with database.write() as tx:
                await tx.jobs.add(make_job())
        counts.append(await execute(database, COUNT_STATISTICS))
        await database.close()
        with contextlib.closing(sqlite3.connect(file)) as connection:
            counts.append(connection.execute(COUNT_STATISTICS).fetchall())
            connection.execute("DELETE FROM sqlite_stat1")
            connection.commit()

    after_five, at_the_end, after_one, *_ = [count for ((count,),) in counts]
    assert min(after_five, at_the_end) > 0
    assert after_one > 0, "collected at the start"


@pytest.mark.postgres
async def test_tables_without_statistics_are_analyzed_at_the_start(postgres_database: str) -> None:
    database = Database(postgres_database)
    await database.open()
    await fill(database, 2_000, NOON)
    await forget_statistics(database)
    await database.close()
    found = []
    for _ in range(50):  # the server counts new rows a moment after their commit
        await database.open()
        found = await execute(database, "SELECT 1 FROM pg_stats WHERE tablename = 'jobs' LIMIT 1")
        if found:
            break
        await database.close()
        await asyncio.sleep(0.1)
    await database.close()

    assert found
