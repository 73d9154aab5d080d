"""Tests rate limits: bursts, a steady pace, a clock set back, many actions at once."""

import asyncio
from datetime import timedelta

import pytest

from bot.storage.database import Database
from tests.storage.rows import NOON, after


async def take(database: Database, per_minute: int, seconds: float, key: str = "ana") -> float:
    async with database.write() as tx:
        return await tx.rates.take(key, per_minute, after(seconds))


async def test_a_minutes_actions_are_admitted_at_once_then_one_per_interval(database: Database) -> None:
    at_once = [await take(database, 4, 0) for _ in range(5)]
    later = [await take(database, 4, seconds) for seconds in (14, 15, 16, 30)]

    assert at_once == [0, 0, 0, 0, pytest.approx(15)]
    assert later == [pytest.approx(1), 0, pytest.approx(14), 0]


async def test_each_key_has_a_limit_of_its_own(database: Database) -> None:
    assert [await take(database, 1, 0, key) for key in ("ana", "ben", "ana")] == [0, 0, pytest.approx(60)]


async def test_a_clock_set_back_blocks_no_key(database: Database) -> None:
    for _ in range(3):
        await take(database, 2, 0)

    assert await take(database, 2, -timedelta(hours=5).total_seconds()) == 0


async def test_of_many_at_once_only_the_limit_is_admitted(database: Database) -> None:
    waits = await asyncio.gather(*(take(database, 3, 0) for _ in range(12)))

    assert waits.count(0) == 3
    assert NOON.second == 0


@pytest.mark.parametrize("per_minute", [1, 7, 60, 1_000])
async def test_a_steady_pace_at_the_limit_is_admitted(database: Database, per_minute: int) -> None:
    step = 60 / per_minute
    async with database.write() as tx:
        first = [await tx.rates.take("k", per_minute, after(0)) for _ in range(per_minute)]
        assert await tx.rates.take("k", per_minute, after(step / 2)) > 0
        assert await tx.rates.take("k", per_minute, after(step)) == 0

    assert set(first) == {0}
