"""A town on a database of either engine."""

from collections.abc import AsyncIterator

import pytest

from bot.storage.database import Database
from tests.credits.bench import CreditsBench


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def town(database: Database) -> AsyncIterator[CreditsBench]:
    opened = CreditsBench(database)
    yield opened
    await opened.wait_for_alerts()
