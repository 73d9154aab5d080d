"""Buckets, the global limit and hidden limits refuse like Discord's, and injected failures hit only their requests."""

import asyncio

import aiohttp
import discord
import pytest

from tests.emulators.discord.client import DiscordTestClient, redirect_discord_py
from tests.emulators.discord.clock import DiscordClock
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.rate_limits import DiscordRateLimit, DiscordRateLimitCounter
from tests.emulators.discord.state import DiscordGuildState


async def post(emulator: DiscordEmulator, guild: DiscordGuildState, content: str = "hello") -> aiohttp.ClientResponse:
    """Post over plain HTTP, as a client without a rate limiter."""
    url = f"{emulator.api_url}/channels/{guild.channels[0].id}/messages"
    body = {"content": content, "allowed_mentions": {"parse": []}}
    headers = {"Authorization": f"Bot {emulator.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as reply:
        await reply.read()
        return reply


async def test_the_sixth_message_in_five_seconds_is_refused(
    emulator: DiscordEmulator, guild: DiscordGuildState
) -> None:
    replies = [await post(emulator, guild) for _ in range(6)]
    emulator.clock.advance(5)
    after = await post(emulator, guild)

    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert [reply.headers["X-RateLimit-Remaining"] for reply in replies[:5]] == ["4", "3", "2", "1", "0"]
    assert 4 < float(replies[0].headers["X-RateLimit-Reset-After"]) <= 5.001
    assert replies[5].headers["Via"]
    assert replies[5].headers["Retry-After"] == "5"
    assert 4 < float((await replies[5].json())["retry_after"]) <= 5.001
    assert after.status == 200
    assert emulator.request_log.invalid_requests == 1
    assert len(emulator.violations) == 1


async def test_discord_py_keeps_a_bucket_by_its_headers(guild: DiscordGuildState) -> None:
    async with DiscordEmulator(speed=20) as quick:
        place = quick.add_guild("Foxes").channels[0]
        with redirect_discord_py(quick):
            async with DiscordTestClient() as client:
                await client.connect_to(quick)
                await asyncio.gather(*(client.find_text_channel(place).send(str(number)) for number in range(12)))

        assert len(place.messages) == 12
        assert quick.violations == []


async def test_a_hidden_limit_is_met_with_slots_left(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.rate_limits.hidden["create_message"] = DiscordRateLimit("hidden", 1, 0.2)
    place = client.find_text_channel(guild.channels[0])
    await place.send("one")
    await place.send("two")

    limited = emulator.find_requests("create_message")[1]
    assert [message.text for message in guild.channels[0].messages] == ["one", "two"]
    assert (limited.status, limited.headers["X-RateLimit-Remaining"]) == (429, "3")
    assert limited.headers["X-RateLimit-Scope"] == "shared"


async def test_discord_py_treats_a_429_without_via_as_a_ban(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.rate_limit("POST", "/channels/*/messages", retry_after=0.1, has_via_header=False)
    with pytest.raises(discord.HTTPException) as refused:
        await client.find_text_channel(guild.channels[0]).send("hello")

    assert refused.value.status == 429


def test_messages_of_one_channel_share_the_bucket_of_edits() -> None:
    limits = DiscordRateLimitCounter(DiscordClock())
    edits = [limits.take("update_message", "PATCH", {"channel_id": "1", "message_id": str(n)}) for n in range(6)]
    elsewhere = limits.take("update_message", "PATCH", {"channel_id": "2", "message_id": "9"})

    assert [edit.retry_after is None for edit in edits] == [True] * 5 + [False]
    assert elsewhere.retry_after is None


def test_an_interaction_token_has_five_calls_in_two_seconds_and_no_global_limit() -> None:
    clock = DiscordClock()
    limits = DiscordRateLimitCounter(clock, max_global_calls=3)
    token = {"webhook_id": "1", "webhook_token": "a"}
    calls = [limits.take("update_original_webhook_message", "PATCH", token) for _ in range(5)]
    refused = limits.take("execute_webhook", "POST", token)
    clock.advance(2)
    later = limits.take("execute_webhook", "POST", token)

    assert [call.retry_after for call in calls] == [None] * 5
    assert refused.retry_after is not None
    assert refused.scope == "user"
    assert later.retry_after is None


def test_the_global_limit_is_fifty_calls_a_second() -> None:
    clock = DiscordClock()
    limits = DiscordRateLimitCounter(clock)
    verdicts = [limits.take("create_message", "POST", {"channel_id": str(number)}) for number in range(51)]
    clock.advance(1)

    assert [verdict.scope for verdict in verdicts if verdict.retry_after is not None] == ["global"]
    assert limits.take("create_message", "POST", {"channel_id": "0"}).retry_after is None


async def test_the_thirty_first_followup_of_a_channel_in_a_minute_is_refused(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    emulator.rate_limits.hidden["followup"] = DiscordRateLimit("followups", 1, 0.2)

    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("first")
        await interaction.followup.send("second")
        await interaction.followup.send("third")

    await client.tree.sync()
    await ana.use_command("draw")
    await guild.channels[0].wait_for_message(lambda one: one.text == "third")

    assert [request.status for request in emulator.find_requests("execute_webhook")] == [200, 429, 200]


async def test_a_503_is_not_retried(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.respond("POST", "/channels/*/messages", 503)
    place = client.find_text_channel(guild.channels[0])
    with pytest.raises(discord.DiscordServerError):
        await place.send("hello")
    await place.send("hello")

    assert [request.status for request in emulator.find_requests("create_message")] == [503, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_502_may_follow_the_effect(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.faults.respond("POST", "/channels/*/messages", 502, takes_effect=True)
    await client.find_text_channel(guild.channels[0]).send("hello", nonce="job-1")

    assert [request.status for request in emulator.find_requests("create_message")] == [502, 200]
    assert len(guild.channels[0].messages) == 1


async def test_a_connection_is_dropped_before_or_after_the_effect(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    emulator.faults.drop_connection("POST", "/channels/*/messages")
    emulator.faults.drop_connection("POST", "/channels/*/messages", takes_effect=True)
    for text in ("lost", "kept"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await place.send(text)

    assert [message.text for message in guild.channels[0].messages] == ["kept"]


async def test_discord_py_waits_for_an_injected_429(
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


async def test_an_unknown_path_is_a_violation(emulator: DiscordEmulator) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{emulator.api_url}/foxes") as reply:
        assert reply.status == 404
        assert (await reply.json())["code"] == 0

    assert emulator.violations == ["GET /foxes: there is no such operation"]
