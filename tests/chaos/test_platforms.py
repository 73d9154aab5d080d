"""A bot process on Discord and Slack at once, configured by settings alone, killed with jobs in flight."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.processes import BotProcess, sandbox
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.slack.emulator import SlackEmulator
from tests.platforms.slack.office import OPTIONS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


async def test_pictures_and_answers_survive_a_kill_on_both_platforms(tmp_path: Path) -> None:
    async with sandbox(1.0) as url, DiscordEmulator() as discord, SlackEmulator(OPTIONS) as slack:
        guild, team = discord.add_guild("Foxes", channels=("general",)), slack.add_team("Acme")
        ana, bea, channel = guild.add_member("Ana"), team.add_person("Bea"), team.add_channel("general")
        settings = {
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "DISCORD_CDN_URL": discord.cdn_url,
            "SLACK_BOT_TOKEN": team.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
            "ALLOWED_WORKSPACES": f"discord:{guild.id},slack:{team.id}",
        }
        bot = BotProcess(tmp_path, url, settings=settings)
        await bot.start()

        drawn = await ana.use_command("imagine", {"prompt": "a lighthouse at dusk"}, channel=guild.channels[0])
        talked = await ana.use_command("chat", {"message": "how do I connect Slack?"}, channel=guild.channels[0])
        fox = await bea.use_command("/imagine", "a red fox", channel)
        question = await bea.say(f"{team.mention} how do I connect Discord?", channel)
        picture, answer = await drawn.wait_for_message(), await talked.wait_for_message()
        await fox.wait_for_acknowledgement()
        await asyncio.sleep(0.8)  # some moment in the middle of the work
        await bot.kill()
        await bot.start()

        await picture.wait_until(lambda message: bool(message.pictures), "the picture", timeout_seconds=30)
        await answer.wait_until(
            lambda message: "Regenerate" in message.button_labels, "the whole answer", timeout_seconds=30
        )
        await channel.wait_for_bot_message(condition=lambda message: len(message.files) == 1, timeout_seconds=30)
        await channel.get_thread(question).wait_for_bot_message(
            condition=lambda message: "Regenerate" in message.button_labels, timeout_seconds=30
        )
        assert await bot.terminate() == 0
        assert len(picture.pictures) == 1
        assert discord.violations == []
        assert slack.violations == []
