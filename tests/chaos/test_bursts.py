"""SIGKILL in bursts of asks on Discord and Slack: no ask is acknowledged and never answered, none is answered twice."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bot.platforms.discord.deferrals import ASK_LOST
from tests.catalogue.samples import write_catalogue_of_small_pictures
from tests.chaos.processes import BotProcess, sandbox
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.interactions import DiscordInteractionState
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.options import SlackLifetimes
from tests.platforms.discord.town import is_done
from tests.platforms.slack.office import OPTIONS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

BURSTS, PEOPLE = 3, 50
CHANNELS = 10
DELIVERY_TIMEOUT_SECONDS = 90.0

# The repeats of an event come sooner than Slack's, after one and after five minutes.
PATIENT_SLACK = replace(OPTIONS, lifetimes=SlackLifetimes(retry_delays_seconds=(1.0,) * 60))


def list_endings(discord: DiscordEmulator, prompt: str) -> list[DiscordMessageState]:
    """Return the messages of the bot about a prompt, in all channels, also the private ones."""
    return [
        message
        for channel in discord.state.channels.values()
        for message in channel.messages
        if message.author is discord.bot and not message.is_deleted and prompt in message.text
    ]


async def test_asks_in_bursts_on_discord_survive_kills(tmp_path: Path) -> None:
    random_moments = random.Random(20261130)
    async with sandbox(0.3) as url, DiscordEmulator() as discord:
        guild = discord.add_guild("Foxes", channels=tuple(f"channel-{n}" for n in range(CHANNELS)))
        people = [guild.add_member(f"Person {n}") for n in range(PEOPLE)]
        settings = {
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "DISCORD_CDN_URL": discord.cdn_url,
            "ALLOWED_WORKSPACES": f"discord:{guild.id}",
            # Painting would take most of the test's time.
            "CATALOGUE_PATH": str(write_catalogue_of_small_pictures(tmp_path)),
        }
        bot = BotProcess(tmp_path, url, settings=settings)
        asked: dict[str, DiscordInteractionState] = {}
        for burst in range(BURSTS):
            await bot.start()
            await discord.wait_for_connections(timeout_seconds=60.0)
            for n, person in enumerate(people):
                prompt = f"fox {burst} {n} in the snow"
                channel = guild.channels[n % CHANNELS]
                asked[prompt] = await person.use_command("imagine", {"prompt": prompt}, channel=channel)
            await asyncio.sleep(random_moments.uniform(0.05, 1.5))
            await bot.kill()
        acknowledged = {prompt for prompt, one in asked.items() if one.is_acknowledged}
        await bot.start()

        for prompt in acknowledged:
            # Deferred and killed before its commit, an ask is told that nothing was charged, in the first message.
            message = (*list_endings(discord, prompt), asked[prompt].original_message)[0]
            assert message is not None, f"{prompt} was acknowledged and is nowhere"
            await message.wait_until(
                lambda shown: is_done(shown) or ASK_LOST in shown.text,
                f"the answer to {prompt}",
                timeout_seconds=DELIVERY_TIMEOUT_SECONDS,
            )
        assert await bot.terminate() == 0
        print("acknowledged:", len(acknowledged), "of", len(asked))  # noqa: T201 - shown by pytest -s
        assert acknowledged
        assert [prompt for prompt in asked if len(list_endings(discord, prompt)) > 1] == []


async def test_mentions_in_bursts_on_slack_are_each_answered_once_despite_kills(tmp_path: Path) -> None:
    random_moments = random.Random(20261130)
    async with sandbox(0.3) as url, SlackEmulator(PATIENT_SLACK) as slack:
        team = slack.add_team("Acme")
        channels = [team.add_channel(f"channel-{n}") for n in range(3)]
        # Twelve answers begin at once; more would wait for Slack's limit of streams.
        people = [team.add_person(f"Person {n}") for n in range(6)]
        settings = {
            "SLACK_BOT_TOKEN": team.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
            "ALLOWED_WORKSPACES": f"slack:{team.id}",
        }
        bot = BotProcess(tmp_path, url, settings=settings)
        questions: list[SlackMessageState] = []
        for _ in range(2):
            await bot.start()
            await slack.sockets.wait_for_connections()
            for n, person in enumerate(people):
                questions.append(await person.say(f"{team.mention} what can you do?", channels[n % len(channels)]))
            await asyncio.sleep(random_moments.uniform(0.0, 0.2))
            await bot.kill()
        await bot.start()

        threads = [question.channel.get_thread(question) for question in questions]
        for thread in threads:
            await thread.wait_for_bot_message(
                condition=lambda message: "Delete" in message.button_labels, timeout_seconds=DELIVERY_TIMEOUT_SECONDS
            )
        assert await bot.terminate() == 0
        assert [len(thread.bot_messages) for thread in threads] == [1] * len(questions)
        assert [one.label for question in questions for one in question.deliveries if not one.is_acknowledged] == []
