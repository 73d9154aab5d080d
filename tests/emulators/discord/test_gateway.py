"""The gateway authenticates, replays missed events, and breaks in every documented way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest

from tests.emulators.discord.client import INTENTS, DiscordTestClient, redirect_discord_py
from tests.emulators.discord.emulator import MEMBERS_ALLOWED, MESSAGE_CONTENT_ALLOWED, DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState


@asynccontextmanager
async def open_socket(emulator: DiscordEmulator) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as session, session.ws_connect(emulator.gateway_url) as socket:
        hello = await socket.receive_json()
        assert hello["op"] == 10
        yield socket


def identify(emulator: DiscordEmulator, **changes: Any) -> dict[str, Any]:
    data = {"token": emulator.token, "intents": 1, "properties": {}}
    return {"op": 2, "d": {**data, **changes}}


@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ([{"op": 2, "d": {"token": "wrong", "intents": 1}}], 4004),
        ([{"op": 2, "d": {"token": "local.bot.token", "intents": 1 << 40}}], 4013),
        ([{"op": 2, "d": {"token": "local.bot.token", "intents": 1 << 1}}], 4014),
        ([{"op": 2, "d": {"token": "local.bot.token", "intents": 1, "shard": [2, 2]}}], 4010),
        ([{"op": 3, "d": {}}], 4003),
        ([{"op": 2, "d": {"token": "local.bot.token", "intents": 1}}, {"op": 99}], 4001),
        ([{"op": 2, "d": {"token": "local.bot.token", "intents": 1}}] * 2, 4005),
        ([{"op": 1, "d": "a" * 5000}], 4002),
        ([{"op": 1, "d": None}] * 121, 4008),
    ],
)
async def test_a_protocol_error_closes_the_connection_with_its_code(
    emulator: DiscordEmulator, packets: list[Any], code: int
) -> None:
    async with open_socket(emulator) as socket:
        for packet in packets:
            await socket.send_str(json.dumps(packet))
        async for _ in socket:
            pass

        assert socket.close_code == code
    assert len(emulator.violations) == 1


async def test_sharding_can_be_required(emulator: DiscordEmulator) -> None:
    emulator.min_shards = 2
    async with open_socket(emulator) as socket:
        await socket.send_json(identify(emulator))
        async for _ in socket:
            pass

        assert socket.close_code == 4011


async def test_a_privileged_intent_needs_the_applications_flag() -> None:
    async with DiscordEmulator(application_flags=0) as emulator:
        with redirect_discord_py(emulator):
            async with DiscordTestClient() as client:
                await client.login(emulator.token)
                with pytest.raises(discord.PrivilegedIntentsRequired):
                    await client.connect()


async def test_a_wrong_token_is_refused(emulator: DiscordEmulator) -> None:
    with redirect_discord_py(emulator):
        async with DiscordTestClient() as client:
            with pytest.raises(discord.LoginFailure):
                await client.login("wrong")


@pytest.mark.parametrize("misfortune", ["reconnect", "cut", "close 4000", "close 4009", "invalid but resumable"])
async def test_resume_replays_missed_events(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, misfortune: str
) -> None:
    await ana.say("before")
    if misfortune == "reconnect":
        emulator.gateway.request_reconnect()
    elif misfortune == "cut":
        emulator.gateway.drop_connections()
    elif misfortune.startswith("close"):
        await emulator.gateway.close_connections(int(misfortune.split()[1]))
    else:
        emulator.gateway.invalidate_sessions(resumable=True)
    await ana.say("meanwhile")
    await emulator.wait_for(lambda: emulator.gateway.resume_count, "a resume")
    after = await ana.say("after")
    await wait_for_message(client, after.id)

    assert [message.content for message in client.received_messages] == ["before", "meanwhile", "after"]
    assert emulator.gateway.identify_count == 1


async def test_an_invalid_session_starts_anew_without_missed_events(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    emulator.gateway.invalidate_sessions()
    await ana.say("meanwhile")
    await emulator.wait_for(lambda: emulator.gateway.identify_count == 2, "a second identify", timeout_seconds=15)
    after = await ana.say("after")
    await wait_for_message(client, after.id)

    assert [message.content for message in client.received_messages] == ["after"]


async def wait_for_message(client: DiscordTestClient, message_id: int) -> None:
    if not any(message.id == message_id for message in client.received_messages):
        await client.wait_for("message", check=lambda message: message.id == message_id, timeout=5)
        await asyncio.sleep(0)


async def test_content_is_hidden_without_the_intent_except_in_mentions(
    emulator: DiscordEmulator, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    with redirect_discord_py(emulator):
        async with DiscordTestClient(discord.Intents(guilds=True, messages=True)) as client:
            await client.connect_to(emulator)
            await ana.say("a secret")
            await ana.say(f"{emulator.bot.mention} hello")
            bots = await client.find_text_channel(guild.channels[0]).send("mine")
            await ana.say("a reply", reply_to=guild.channels[0].find_message(bots.id))
            last = await ana.send_direct_message("in private")
            await wait_for_message(client, last.id)

            contents = [message.content for message in client.received_messages]
    assert contents == ["", f"{emulator.bot.mention} hello", "mine", "a reply", "in private"]


async def test_guilds_are_split_over_shards(emulator: DiscordEmulator) -> None:
    guilds = [emulator.add_guild(f"Guild {number}", guild_id=(1000 + number) << 22) for number in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        # discord.py waits five seconds between two shards.
        patch.setattr(discord.AutoShardedClient, "before_identify_hook", nothing)
        with redirect_discord_py(emulator):
            async with discord.AutoShardedClient(intents=INTENTS, shard_count=2, guild_ready_timeout=0.05) as client:
                await client.login(emulator.token)
                running = asyncio.create_task(client.connect())
                await client.wait_until_ready()

                found = {guild.id: guild.shard_id for guild in client.guilds}
                await client.close()
                await asyncio.gather(running, return_exceptions=True)
    assert [found[guild.id] for guild in guilds] == [0, 1, 0, 1]


async def nothing(*arguments: Any, **options: Any) -> None: ...


async def test_a_connection_without_heartbeat_acknowledgements_is_replaced(guild: DiscordGuildState) -> None:
    async with DiscordEmulator() as emulator:
        emulator.gateway.heartbeat_seconds = 0.1
        with redirect_discord_py(emulator):
            async with DiscordTestClient(heartbeat_timeout=0.5) as client:
                await client.connect_to(emulator)
                emulator.gateway.ignores_heartbeats = True
                await emulator.wait_for(lambda: emulator.gateway.resume_count, "a resume")
                emulator.gateway.ignores_heartbeats = False

        assert emulator.gateway.identify_count == 1


async def test_the_member_list_needs_the_members_intent() -> None:
    async with DiscordEmulator(application_flags=MEMBERS_ALLOWED | MESSAGE_CONTENT_ALLOWED) as emulator:
        guild = emulator.add_guild("Foxes")
        ana = guild.add_member("Ana")
        intents = discord.Intents(guilds=True, members=True)
        with redirect_discord_py(emulator):
            async with DiscordTestClient(intents, chunk_guilds_at_startup=True) as client:
                await client.connect_to(emulator)
                found = client.guilds[0].get_member(ana.id)

        assert found is not None


async def test_an_unsupported_compression_is_refused(emulator: DiscordEmulator) -> None:
    address = f"{emulator.gateway_url}?compress=gzip"
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        await socket.receive()

        assert socket.close_code == 4002


async def test_an_early_identify_gets_an_invalid_session(emulator: DiscordEmulator) -> None:
    emulator.gateway.identify_interval_seconds = 5.0
    async with open_socket(emulator) as first, open_socket(emulator) as second:
        await first.send_json(identify(emulator))
        assert (await first.receive_json())["t"] == "READY"
        await second.send_json(identify(emulator))

        assert await second.receive_json() == {"op": 9, "d": False}
        emulator.clock.advance(5)
        await second.send_json(identify(emulator))
        assert (await second.receive_json())["t"] == "READY"
