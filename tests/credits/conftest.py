"""Fixtures: a database of either engine, and a credits bench on it."""

from collections.abc import AsyncIterator

import pytest

from bot.storage.database import Database
from tests.credits.bench import CreditsBench


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def credits_bench(database: Database) -> AsyncIterator[CreditsBench]:
    bench = CreditsBench(database)
    yield bench
    await bench.wait_for_alerts()
