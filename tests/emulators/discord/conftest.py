"""The emulator, and the real discord.py pointed at it."""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.discord.client import LocalClient, pointed_at
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import Person
from tests.emulators.discord.world import Guild


@pytest.fixture
async def emulator() -> AsyncIterator[DiscordEmulator]:
    async with DiscordEmulator(checks_itself=True) as running:
        yield running
    assert not running.own_faults, "\n".join(running.own_faults)


@pytest.fixture
def guild(emulator: DiscordEmulator) -> Guild:
    """With one channel, and the bot in it."""
    return emulator.add_guild("Foxes")


@pytest.fixture
def ana(guild: Guild) -> Person:
    return guild.member("Ana")


@pytest.fixture
async def client(emulator: DiscordEmulator, guild: Guild) -> AsyncIterator[LocalClient]:
    """Connected; commands and handlers are the test's own."""
    with pointed_at(emulator):
        async with LocalClient() as opened:
            await opened.connect_to(emulator)
            yield opened
