"""The town, open: at the end Discord must have nothing to complain of."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.emulators.discord.emulator import DiscordEmulator
from tests.platforms.discord.town import Town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A server with Ana and Ben, and the bot connected to it."""
    async with DiscordEmulator() as emulator:
        town = Town(tmp_path, emulator)
        await town.open()
        yield town
        await town.app.close()
        assert emulator.violations == []
