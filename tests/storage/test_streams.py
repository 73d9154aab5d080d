"""Rows of exports leave the database in portions, and sums over jobs agree with the ledger."""

from contextlib import aclosing
from datetime import timedelta

import pytest

from bot.core.people import PersonKey
from bot.storage.connection import PORTION_ROWS
from bot.storage.database import Database
from tests.storage.bulk import fill
from tests.storage.raw import execute
from tests.storage.rows import NOON

JOBS = 4_000
MONTH_START = NOON.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
async def filled(database: Database) -> Database:
    await fill(database, JOBS, NOON, span=timedelta(days=19))
    return database


async def test_a_month_comes_in_portions_oldest_first(filled: Database) -> None:
    async with filled.read() as tx:
        portions = [jobs async for jobs in tx.jobs.stream_created_in_workspace("web", "page", MONTH_START, NOON, JOBS)]
        newest = [jobs async for jobs in tx.jobs.stream_created_in_workspace("web", "page", MONTH_START, NOON, 7)]
    counted = await execute(
        filled, "SELECT count(*) FROM jobs WHERE platform = 'web' AND created_at >= '2026-11-01 00:00:00'"
    )

    times = [job.created_at for jobs in portions for job in jobs]
    assert max(map(len, portions)) == PORTION_ROWS
    assert [(len(times),)] == counted
    assert times == sorted(times)
    assert [job.created_at for jobs in newest for job in jobs] == times[-7:]


async def test_a_person_comes_in_portions_and_a_reading_ends_early(filled: Database) -> None:
    for _ in range(12):  # more often than there are connections: each early end gives its connection back
        async with filled.read() as tx, aclosing(tx.erasure.stream_person(PersonKey("web", "", "ana"))) as portions:
            sizes = [len(rows) async for name, rows in portions if name == "jobs"]
        async with filled.read() as tx, aclosing(tx.erasure.stream_person(PersonKey("web", "", "ana"))) as portions:
            assert await anext(portions) == ("seen", [])

    assert sum(sizes) >= JOBS // 20
    assert max(sizes) <= PORTION_ROWS


async def test_sums_of_costs_equal_the_ledger(filled: Database) -> None:
    async with filled.read() as tx:
        spent = await tx.jobs.sum_spent_by_user("web", "page", MONTH_START)
        total = await tx.jobs.sum_spent_in_workspace("web", "page", MONTH_START)
        held = await tx.ledger.sum_held_in_workspace("web", "page", MONTH_START)
    of_page = "hold.kind = 'hold' AND hold.account LIKE 'wallet:%' AND hold.actor LIKE 'web:page:%'"
    settled = await execute(
        filled,
        "SELECT substr(hold.actor, 10), count(*), -sum(close.balance_delta_micros) FROM ledger AS close"  # noqa: S608 - constant text
        " JOIN ledger AS hold ON hold.job = close.job AND hold.account = close.account"
        f" WHERE close.kind = 'settle' AND {of_page} GROUP BY hold.actor",
    )
    open_holds = await execute(
        filled,
        "SELECT sum(hold.held_delta_micros) FROM ledger AS hold JOIN jobs ON jobs.id = hold.job"  # noqa: S608 - constant text
        f" WHERE jobs.state = 'running' AND {of_page}",
    )

    assert sorted(spent) == sorted((user, jobs, int(micros)) for user, jobs, micros in settled)
    assert total == sum(micros for _, _, micros in spent)
    assert [(held,)] == [(int(micros),) for (micros,) in open_holds]
