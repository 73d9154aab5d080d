"""SIGKILL between "is thinking" and the commit: the next process answers, and leaves an answered message alone."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.chaos.processes import BotProcess, sandbox
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.interactions import DiscordInteractionState
from tests.emulators.discord.messages import DiscordMessageState

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


async def test_interactions_deferred_before_a_kill_are_answered_by_the_next_process(tmp_path: Path) -> None:
    async with sandbox(0.3) as url, DiscordEmulator() as discord:
        guild = discord.add_guild("Foxes", channels=("art",))
        settings = {
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "DISCORD_CDN_URL": discord.cdn_url,
            "ALLOWED_WORKSPACES": f"discord:{guild.id}",
        }
        person, art = guild.add_member("Ana"), guild.channels[0]
        bot = BotProcess(tmp_path, url, settings=settings)
        await bot.start()
        await discord.wait_for_connections(timeout_seconds=60.0)
        answered = await _get_first_message(await person.use_command("help", {}, channel=art))
        await answered.wait_until(lambda message: "/imagine" in message.text, "the help")
        other_writer = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)
        other_writer.execute("BEGIN IMMEDIATE")
        drawing = await _get_first_message(await person.use_command("imagine", {"prompt": "a fox"}, channel=art))
        helping = await _get_first_message(await person.use_command("help", {}, channel=art))
        await bot.kill()
        other_writer.close()

        await bot.start()

        await drawing.wait_until(lambda message: "Nothing was charged: please ask again" in message.text, "the end")
        await helping.wait_until(lambda message: "see whether the command took effect" in message.text, "the end")
        assert await bot.terminate() == 0
        assert "restarted" not in answered.text
        assert [name for name in os.listdir(tmp_path) if name.startswith("discord-deferrals")] == []


async def _get_first_message(interaction: DiscordInteractionState) -> DiscordMessageState:
    await interaction.wait_for_acknowledgement()
    assert interaction.original_message is not None
    return interaction.original_message
