"""The town, open: at the end Discord must have nothing to complain of."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.platforms.discord.town import Town, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A server with Ana and Ben, and the bot connected to it."""
    async with open_town(tmp_path) as opened:
        yield opened
