"""Misfortune comes when it is planned, as often as planned, and where it is planned."""

import asyncio

import aiohttp
import discord
import pytest

from tests.emulators.discord.client import LocalClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.world import Guild


async def test_a_503_is_not_asked_again(emulator: DiscordEmulator, client: LocalClient, guild: Guild) -> None:
    emulator.faults.answer("POST", "/channels/*/messages", 503)
    place = client.text_channel(guild.channels[0])
    with pytest.raises(discord.DiscordServerError):
        await place.send("hello")
    await place.send("hello")

    assert [request.status for request in emulator.requests("create_message")] == [503, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_502_may_come_after_the_deed(emulator: DiscordEmulator, client: LocalClient, guild: Guild) -> None:
    emulator.faults.answer("POST", "/channels/*/messages", 502, takes_effect=True)
    await client.text_channel(guild.channels[0]).send("hello", nonce="job-1")

    assert [request.status for request in emulator.requests("create_message")] == [502, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_connection_is_cut_before_or_after_the_deed(
    emulator: DiscordEmulator, client: LocalClient, guild: Guild
) -> None:
    place = client.text_channel(guild.channels[0])
    emulator.faults.cut("POST", "/channels/*/messages")
    emulator.faults.cut("POST", "/channels/*/messages", takes_effect=True)
    for text in ("lost", "kept"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await place.send(text)

    assert [message.text for message in guild.channels[0].messages] == ["kept"]


async def test_a_planned_429_is_waited_for(emulator: DiscordEmulator, client: LocalClient, guild: Guild) -> None:
    emulator.faults.limit("POST", "/channels/*/messages", retry_after=0.05)
    await client.text_channel(guild.channels[0]).send("hello")

    first, second = emulator.requests("create_message")
    assert (first.status, second.status) == (429, 200)
    assert second.at - (first.answered_at or 0) >= 0.05
    assert emulator.violations == []


async def test_a_slow_answer_takes_effect_late(emulator: DiscordEmulator, client: LocalClient, guild: Guild) -> None:
    emulator.faults.delay("POST", "/channels/*/messages", 0.1)
    posting = asyncio.create_task(client.text_channel(guild.channels[0]).send("hello"))
    await emulator.until(lambda: guild.channels[0].messages, "the message")
    await posting

    (request,) = emulator.requests("create_message")
    assert guild.channels[0].last_message.created_at - request.at >= 0.1


async def test_a_message_is_seen_after_half_the_round_trip(guild: Guild) -> None:
    async with DiscordEmulator(latency=0.2) as slow:
        place = slow.add_guild("Foxes").channels[0]
        url = f"{slow.api_url}/channels/{place.id}/messages"
        body = {"content": "hello", "allowed_mentions": {"parse": []}}
        headers = {"Authorization": f"Bot {slow.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as reply:
            assert reply.status == 200

        (request,) = slow.requests("create_message")
        seen = place.last_message.versions[0].at
        assert 0.1 <= seen - request.at < 0.2 <= (request.answered_at or 0) - request.at


async def test_an_unknown_address_is_a_violation(emulator: DiscordEmulator) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{emulator.api_url}/foxes") as reply:
        assert reply.status == 404
        assert (await reply.json())["code"] == 0

    assert emulator.violations == ["GET /foxes: there is no such operation"]
