"""Opens the town for each test and fails the test for violations of Discord's rules."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.platforms.discord.town import Town, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Yield a server with Ana and Ben, with the bot connected."""
    async with open_town(tmp_path) as new_town:
        yield new_town
