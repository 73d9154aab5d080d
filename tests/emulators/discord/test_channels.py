"""Threads, permissions, direct messages, and deleted guilds and channels."""

from collections.abc import Awaitable, Callable

import discord
import pytest

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.rate_limits import DiscordRateLimit
from tests.emulators.discord.state import DiscordGuildState


async def test_a_thread_hangs_on_a_message_once(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    said = await ana.say("hello")
    message = await client.find_text_channel(guild.channels[0]).fetch_message(said.id)
    thread = await message.create_thread(name="A talk")
    await thread.send("Here we are.")
    with pytest.raises(discord.HTTPException) as refused:
        await message.create_thread(name="Another")

    (opened,) = guild.threads
    assert opened is said.thread
    assert thread.id == said.id
    assert [one.text for one in opened.messages] == ["Here we are."]
    assert refused.value.code == 160004
    assert emulator.violations == []


async def test_an_archived_thread_refuses_edits_and_reopens_with_a_post(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    thread = await client.find_text_channel(guild.channels[0]).create_thread(
        name="A talk", type=discord.ChannelType.public_thread
    )
    sent = await thread.send("hello")
    (opened,) = guild.threads
    emulator.archive_thread(opened)
    with pytest.raises(discord.HTTPException) as refused:
        await sent.edit(content="hello again")
    await thread.send("I am back")
    await sent.edit(content="hello again")
    emulator.archive_thread(opened, locked=True)
    with pytest.raises(discord.HTTPException) as locked:
        await thread.send("anybody?")

    assert refused.value.code == locked.value.code == 50083
    assert [one.text for one in opened.messages] == ["hello again", "I am back"]


async def test_a_persons_message_reopens_a_thread(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    thread = await client.find_text_channel(guild.channels[0]).create_thread(
        name="A talk", type=discord.ChannelType.public_thread
    )
    (opened,) = guild.threads
    emulator.archive_thread(opened)
    said = await ana.say("still there?", opened)
    await client.wait_for("message", check=lambda message: message.id == said.id, timeout=5)

    assert not opened.archived
    assert client.received_messages[-1].channel == thread


@pytest.mark.parametrize(
    ("power", "act"),
    [
        ("send_messages", lambda place: place.send("hello")),
        ("create_public_threads", lambda place: place.create_thread(name="a", type=discord.ChannelType.public_thread)),
        ("manage_channels", lambda place: place.edit(topic="foxes")),
    ],
)
async def test_missing_permissions_are_refused(
    emulator: DiscordEmulator,
    client: DiscordTestClient,
    guild: DiscordGuildState,
    power: str,
    act: Callable[[discord.TextChannel], Awaitable[object]],
) -> None:
    place = client.find_text_channel(guild.channels[0])
    guild.channels[0].deny(emulator.bot, power)
    with pytest.raises(discord.Forbidden) as refused:
        await act(place)

    assert refused.value.code == 50013


async def test_a_hidden_channel_is_missing_access(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    guild.channels[0].deny(emulator.bot, "view_channel")
    with pytest.raises(discord.Forbidden) as refused:
        await client.get_partial_messageable(guild.channels[0].id).send("hello")

    assert refused.value.code == 50001


async def test_deleted_channels_and_guilds_are_unknown(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    sent = await place.send("hello")
    emulator.delete_message(guild.channels[0].last_message)
    with pytest.raises(discord.NotFound) as no_message:
        await sent.edit(content="hello again")
    emulator.delete_channel(guild.channels[0])
    with pytest.raises(discord.NotFound) as no_channel:
        await place.send("anybody?")
    emulator.kick_bot(guild)
    await emulator.wait_for(lambda: True, "nothing")
    with pytest.raises(discord.Forbidden) as no_guild:
        await client.fetch_guild(guild.id)

    assert [error.value.code for error in (no_message, no_channel, no_guild)] == [10008, 10003, 50001]


async def test_direct_messages_need_a_mutual_guild_and_no_block(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    user = await client.fetch_user(ana.id)
    await user.send("hello")
    ana.block_bot()
    with pytest.raises(discord.Forbidden) as blocked:
        await user.send("anybody?")
    stranger = await client.fetch_user(emulator.add_person("Zoe").id)
    with pytest.raises(discord.Forbidden) as unknown:
        await stranger.send("hello")

    assert [message.text for message in ana.direct_channel.messages] == ["hello"]
    assert [blocked.value.code, unknown.value.code] == [50007, 50278]


async def test_renaming_has_a_limit_without_headers(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.rate_limits.hidden["rename"] = DiscordRateLimit("renames", 1, 0.2)
    place = client.find_text_channel(guild.channels[0])
    await place.edit(name="foxes")
    await place.edit(name="owls")

    assert guild.channels[0].name == "owls"
    assert [request.status for request in emulator.find_requests("update_channel")] == [200, 429, 200]
