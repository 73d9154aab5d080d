"""Tests transactions: atomic, isolated, prioritised, and `Unavailable` when the database is busy."""

import asyncio
import os
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import NoneType
from typing import Any

import aiosqlite
import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import CacheStats

from bot.core.errors import DuplicateEntry, InternalError, Unavailable
from bot.core.jobs import JobState
from bot.core.people import BOT, Actor
from bot.storage.database import Database
from tests.storage.raw import count_open_jobs, execute
from tests.storage.rows import NOON, make_account, make_grant, make_hold, make_job, make_prediction


async def open_wallet(database: Database) -> None:
    async with database.write() as tx:
        await tx.ledger.open_account(make_account(), make_grant(1000))


async def let_all_tasks_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_locked_database_is_unavailable_and_loses_nothing(database_url: str) -> None:
    database = Database(database_url, timeout_seconds=0.5)
    await database.open()
    async with database.write() as tx:
        await tx.ledger.open_account(make_account(), make_grant(50))
    hold = "INSERT INTO ledger (account, job, kind, balance_delta_micros, held_delta_micros, key, at) VALUES"
    hold += " ('wallet:ana', 'theirs', 'hold', 0, 1, 'theirs', '2026-11-20')"

    async def ask() -> None:
        with pytest.raises(Unavailable, match="Nothing was lost"):
            async with database.write() as tx:
                await tx.ledger.append([make_hold(10)])

    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None) as theirs:
            theirs.execute("BEGIN IMMEDIATE")
            await ask()
            theirs.execute("ROLLBACK")
        theirs.close()
    else:
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute(hold)
            await ask()
        await connection.close()

    async with database.write() as tx:
        await tx.ledger.append([make_hold(10)])
    await database.close()


async def test_a_lost_connection_is_unavailable_and_the_next_connection_works(
    postgres_database: str,
) -> None:
    database = Database(postgres_database)
    await database.open()
    other = await asyncpg.connect(postgres_database)

    async def write() -> None:
        async with database.write() as tx:
            await tx.audit.add(BOT, "b", {}, NOON)
            await other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'easel'"
            )
            await tx.audit.add(BOT, "b", {}, NOON)

    with pytest.raises(Unavailable):
        await write()
    await other.close()

    assert await execute(database, "SELECT count(*) FROM audit") == [(0,)]
    await database.close()


async def test_a_reading_changes_nothing(database: Database) -> None:
    with pytest.raises(InternalError):
        async with database.read() as tx:
            await tx.jobs.add(make_job())

    async with database.read() as tx:
        assert await count_open_jobs(tx) == 0


async def test_a_reading_sees_one_snapshot(database: Database) -> None:
    async with database.read() as tx:
        before = await count_open_jobs(tx)
        async with database.write() as writing:
            await writing.jobs.add(make_job())
        assert await count_open_jobs(tx) == before == 0

    async with database.read() as tx:
        assert await count_open_jobs(tx) == 1


async def test_any_error_rolls_back(database: Database) -> None:
    async def write() -> None:
        async with database.write() as tx:
            await tx.jobs.add(make_job())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()

    async with database.read() as tx:
        assert await count_open_jobs(tx) == 0


async def test_errors_of_the_caller_are_not_translated(database: Database) -> None:
    with pytest.raises(ConnectionResetError):
        async with database.write():
            raise ConnectionResetError


async def test_urgent_writes_overtake(database: Database, database_url: str) -> None:
    places = 1 if database_url.startswith("sqlite") else 10
    order: list[str] = []
    may_go_on = asyncio.Event()

    async def occupy() -> None:
        async with database.write() as tx:
            await count_open_jobs(tx)
            await may_go_on.wait()

    async def write(name: str, *, is_urgent: bool) -> None:
        async with database.write(is_urgent=is_urgent) as tx:
            order.append(name)
            await count_open_jobs(tx)

    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(occupy())
        await let_all_tasks_run()
        for name in ("ask 1", "ask 2"):
            group.create_task(write(name, is_urgent=False))
        await let_all_tasks_run()
        group.create_task(write("settle", is_urgent=True))
        await let_all_tasks_run()
        assert order == []
        may_go_on.set()

    assert order == ["settle", "ask 1", "ask 2"]


async def test_the_next_statement_sees_what_was_posted(database: Database) -> None:
    record = make_prediction()
    async with database.write() as tx:
        await tx.predictions.add(record)
        assert await tx.predictions.get(record.id) == record

    async with database.read() as tx:
        assert await tx.predictions.get(record.id) == record


async def test_a_posted_statement_that_fails_rolls_the_whole_write_back(database: Database) -> None:
    await open_wallet(database)

    async def hold_twice() -> None:
        async with database.write() as tx:
            await tx.jobs.add(make_job())
            await tx.ledger.post([make_hold(1)])
            await tx.ledger.post([make_hold(1)])

    with pytest.raises(DuplicateEntry):
        await hold_twice()

    async with database.write() as tx:
        assert await count_open_jobs(tx) == 0
        await tx.ledger.post([make_hold(1)])
    async with database.read() as tx:
        account = await tx.ledger.get_account("wallet:ana")
        assert account
        assert account.held_micros == 1


async def test_what_a_broken_write_posted_is_forgotten(database: Database) -> None:
    async def write() -> None:
        async with database.write() as tx:
            await tx.predictions.add(make_prediction())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()
    async with database.write() as tx:
        await tx.workers.record_heartbeat("w1", NOON)

    assert await execute(database, "SELECT count(*) FROM predictions") == [(0,)]


async def test_fifty_tasks_write_at_once(database: Database) -> None:
    async with database.write() as tx:
        await tx.ledger.open_account(make_account(), make_grant(1000))

    async def ask(number: int) -> None:
        job = make_job(request_key=f"k{number}")
        async with database.write() as tx:
            await tx.ledger.lock_accounts(["wallet:ana"])
            await tx.jobs.add(job)
            await tx.ledger.append([make_hold(10, job=job.id)])
        async with database.write(is_urgent=True) as tx:
            assert await tx.jobs.move(job, JobState.QUEUED, NOON)

    await asyncio.gather(*(ask(number) for number in range(50)))

    async with database.read() as tx:
        account = await tx.ledger.get_account("wallet:ana")
        assert account
        assert account.held_micros == 500
        assert await count_open_jobs(tx) == 50


async def test_cancelled_writers_leave_no_partial_transaction(database: Database) -> None:
    """Cancel each writer at a later moment: waiting, beginning, writing, committing. Writes are complete or absent."""
    async with database.write() as tx:
        await tx.ledger.open_account(make_account(), make_grant(1000))

    async def ask(number: int) -> None:
        async with database.write() as tx:
            await tx.jobs.add(make_job(id=f"j{number}"))
            await tx.ledger.append([make_hold(1, job=f"j{number}")])

    for number in range(40):
        task = asyncio.create_task(ask(number))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    await ask(99)
    async with database.read() as tx:
        account = await tx.ledger.get_account("wallet:ana")
        assert account
        assert account.held_micros == await count_open_jobs(tx) >= 1


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{(tmp_path / 'easel.db').as_posix()}")
    await opened.open()
    yield opened
    await opened.close()


def trace(database: Database) -> list[str]:
    """Return a list that every further statement of the writer is appended to."""
    statements: list[str] = []
    database._engine._writer._driver._conn.set_trace_callback(statements.append)  # type: ignore[union-attr] # of SQLite
    return statements


async def test_writes_that_wait_for_each_other_reach_the_disk_together(sqlite_database: Database) -> None:
    statements = trace(sqlite_database)

    async def write(n: int) -> None:
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)

    await asyncio.gather(*(write(n) for n in range(40)))

    assert await execute(sqlite_database, "SELECT count(*) FROM audit") == [(40,)]
    assert 40 / 10 <= statements.count("COMMIT") <= 10


async def test_a_write_alone_is_on_the_disk_at_the_end_of_its_block(sqlite_database: Database) -> None:
    statements = trace(sqlite_database)

    for n in range(3):
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)
        assert statements.count("COMMIT") == n + 1


async def test_a_failed_write_is_undone_alone(sqlite_database: Database) -> None:
    async def write(n: int) -> None:
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)
            if n % 3 == 0:
                raise ValueError(n)

    results = await asyncio.gather(*(write(n) for n in range(20)), return_exceptions=True)

    kept = [action for (action,) in await execute(sqlite_database, "SELECT action FROM audit ORDER BY id")]
    assert [type(result) for result in results] == [ValueError if n % 3 == 0 else NoneType for n in range(20)]
    assert sorted(kept) == sorted(f"write {n}" for n in range(20) if n % 3)


async def test_a_write_cancelled_before_the_disk_keeps_no_other_from_it(sqlite_database: Database) -> None:
    async def write(n: int) -> None:
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)

    for cancelled_after in range(12):  # at each step of a write
        writes = [asyncio.create_task(write(n)) for n in range(5)]
        for _ in range(cancelled_after):
            await asyncio.sleep(0)
        writes[0].cancel()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == [None] * 4

    ((count,),) = await execute(sqlite_database, "SELECT count(*) FROM audit")
    assert 48 <= count <= 60


async def test_a_failed_posted_statement_undoes_its_write_alone(sqlite_database: Database) -> None:
    await open_wallet(sqlite_database)

    async def write(n: int) -> None:
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)
            await tx.ledger.post([make_hold(1, job="same" if n % 3 == 0 else f"j{n}")])

    results = await asyncio.gather(*(write(n) for n in range(20)), return_exceptions=True)

    kept = [action for (action,) in await execute(sqlite_database, "SELECT action FROM audit ORDER BY id")]
    failed = [n for n in range(3, 20) if n % 3 == 0]
    assert [type(result) for result in results] == [DuplicateEntry if n in failed else NoneType for n in range(20)]
    assert sorted(kept) == sorted(f"write {n}" for n in range(20) if n not in failed)


async def test_posted_statements_reach_the_thread_with_the_next_one(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossings = 0
    execute = aiosqlite.Connection._execute

    def cross(*arguments: Any) -> Any:
        nonlocal crossings
        crossings += 1
        return execute(*arguments)  # type: ignore[no-untyped-call]  # aiosqlite's own

    monkeypatch.setattr(aiosqlite.Connection, "_execute", cross)
    async with sqlite_database.write() as tx:
        for _ in range(5):
            await tx.predictions.add(make_prediction())
        await tx.workers.record_heartbeat("w1", NOON)

    assert crossings == 2  # the last statement, and the commit


async def test_every_write_of_a_lost_transaction_is_refused(sqlite_database: Database) -> None:
    async def write(n: int) -> None:
        async with sqlite_database.write() as tx:
            await tx.audit.add(Actor("web", "page", "ana"), f"write {n}", {}, NOON)
            if n == 2:
                await tx.statements._connection.exec_driver_sql("ROLLBACK")  # as SQLite itself does on a full disk
                raise ValueError(n)

    results = await asyncio.gather(*(write(n) for n in range(5)), return_exceptions=True)
    await write(9)

    assert [type(result) for result in results] == [Unavailable, Unavailable, ValueError, Unavailable, Unavailable]
    assert await execute(sqlite_database, "SELECT action FROM audit") == [("write 9",)]


async def test_readings_open_connections_as_needed_and_share_five(sqlite_database: Database) -> None:
    threads, running, most, five_run = set(threading.enumerate()), 0, 0, asyncio.Event()

    async def read() -> None:
        async with sqlite_database.read() as tx:
            await count_open_jobs(tx)

    async def read_with_others() -> None:
        nonlocal running, most
        async with sqlite_database.read() as tx:
            await count_open_jobs(tx)
            running += 1
            most = max(most, running)
            if running == 5:
                await let_all_tasks_run()
                five_run.set()
            await five_run.wait()
            running -= 1

    def count_connections() -> int:
        return len(set(threading.enumerate()) - threads)

    for _ in range(3):
        await read()
    assert count_connections() == 1
    await asyncio.gather(*(read_with_others() for _ in range(20)))
    assert count_connections() == most == 5


async def test_the_connection_of_a_cancelled_reading_serves_the_next(sqlite_database: Database) -> None:
    threads = set(threading.enumerate())

    async def read() -> int:
        async with sqlite_database.read() as tx:
            return await count_open_jobs(tx)

    cancelled = asyncio.create_task(read())
    await let_all_tasks_run()
    cancelled.cancel()
    await asyncio.wait([cancelled])

    assert cancelled.cancelled()
    assert await read() == 0
    assert len(set(threading.enumerate()) - threads) == 1


async def test_a_reading_without_a_connection_is_unavailable_and_the_next_succeeds(sqlite_database: Database) -> None:
    async def read() -> int:
        async with sqlite_database.read() as tx:
            return await count_open_jobs(tx)

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_file = os.open(os.devnull, os.O_RDONLY)
    os.close(next_file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_file, limits[1]))
    try:
        results = await asyncio.gather(*(read() for _ in range(8)), return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert [type(result) for result in results] == [Unavailable] * 8
    assert await read() == 0


async def test_a_statement_is_compiled_once_for_the_writer_the_readers_and_other_databases(tmp_path: Path) -> None:
    compiled: list[str] = []

    def note(_1: object, _2: object, statement: str, _3: object, context: Any, _4: object) -> None:
        if context.cache_hit is CacheStats.CACHE_MISS:
            compiled.append(statement)

    async def read_twice(name: str) -> None:
        database = Database(f"sqlite:///{(tmp_path / name).as_posix()}")
        await database.open()
        async with database.write() as tx:
            await tx.jobs.get("none")
        async with database.read() as tx:
            await tx.jobs.get("none")
        await database.close()

    sa.event.listen(sa.Engine, "after_cursor_execute", note)
    try:
        await read_twice("first.db")
        in_first = list(compiled)
        await read_twice("second.db")
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", note)

    assert len(set(in_first)) == len(in_first)
    assert compiled == in_first
