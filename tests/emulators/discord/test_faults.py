"""Misfortune comes when it is planned, as often as planned, and where it is planned."""

import asyncio

import aiohttp
import discord
import pytest

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.world import DiscordGuildState


async def test_a_503_is_not_asked_again(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.respond("POST", "/channels/*/messages", 503)
    place = client.find_text_channel(guild.channels[0])
    with pytest.raises(discord.DiscordServerError):
        await place.send("hello")
    await place.send("hello")

    assert [request.status for request in emulator.find_requests("create_message")] == [503, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_502_may_come_after_the_deed(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.respond("POST", "/channels/*/messages", 502, takes_effect=True)
    await client.find_text_channel(guild.channels[0]).send("hello", nonce="job-1")

    assert [request.status for request in emulator.find_requests("create_message")] == [502, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_connection_is_cut_before_or_after_the_deed(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    emulator.faults.drop_connection("POST", "/channels/*/messages")
    emulator.faults.drop_connection("POST", "/channels/*/messages", takes_effect=True)
    for text in ("lost", "kept"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await place.send(text)

    assert [message.text for message in guild.channels[0].messages] == ["kept"]


async def test_a_planned_429_is_waited_for(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.rate_limit("POST", "/channels/*/messages", retry_after=0.05)
    await client.find_text_channel(guild.channels[0]).send("hello")

    first, second = emulator.find_requests("create_message")
    assert (first.status, second.status) == (429, 200)
    assert second.received_at - (first.responded_at or 0) >= 0.05
    assert emulator.violations == []


async def test_a_slow_answer_takes_effect_late(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.delay("POST", "/channels/*/messages", 0.1)
    posting = asyncio.create_task(client.find_text_channel(guild.channels[0]).send("hello"))
    await emulator.wait_for(lambda: guild.channels[0].messages, "the message")
    await posting

    (request,) = emulator.find_requests("create_message")
    assert guild.channels[0].last_message.created_at - request.received_at >= 0.1


async def test_a_message_is_seen_after_half_the_round_trip(guild: DiscordGuildState) -> None:
    async with DiscordEmulator(latency_seconds=0.2) as slow:
        place = slow.add_guild("Foxes").channels[0]
        url = f"{slow.api_url}/channels/{place.id}/messages"
        body = {"content": "hello", "allowed_mentions": {"parse": []}}
        headers = {"Authorization": f"Bot {slow.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as reply:
            assert reply.status == 200

        (request,) = slow.find_requests("create_message")
        seen = place.last_message.versions[0].at
        assert 0.1 <= seen - request.received_at < 0.2 <= (request.responded_at or 0) - request.received_at


async def test_an_unknown_address_is_a_violation(emulator: DiscordEmulator) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{emulator.api_url}/foxes") as reply:
        assert reply.status == 404
        assert (await reply.json())["code"] == 0

    assert emulator.violations == ["GET /foxes: there is no such operation"]
