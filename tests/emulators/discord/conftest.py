"""Fixtures: the emulator, a guild with a member, and a connected discord.py client."""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.discord.client import DiscordTestClient, redirect_discord_py
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState


@pytest.fixture
async def emulator() -> AsyncIterator[DiscordEmulator]:
    async with DiscordEmulator(validates_responses=True) as running:
        yield running
    assert not running.response_violations, "\n".join(running.response_violations)


@pytest.fixture
def guild(emulator: DiscordEmulator) -> DiscordGuildState:
    """A guild with one channel and the bot."""
    return emulator.add_guild("Foxes")


@pytest.fixture
def ana(guild: DiscordGuildState) -> DiscordPerson:
    return guild.add_member("Ana")


@pytest.fixture
async def client(emulator: DiscordEmulator, guild: DiscordGuildState) -> AsyncIterator[DiscordTestClient]:
    """A connected client; each test adds its own commands and handlers."""
    with redirect_discord_py(emulator):
        async with DiscordTestClient() as opened:
            await opened.connect_to(emulator)
            yield opened
