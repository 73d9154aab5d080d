"""Messages obey Discord's limits, and edits keep, add and drop files."""

import io
import json
from base64 import b64encode
from typing import Any

import discord
import pytest
from PIL import Image

from tests.emulators.discord.client import DiscordTestClient, redirect_discord_py
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState
from tests.media.recordings import make_ogg, make_wav

VOICE_FACTS = {"id": 0, "filename": "a.ogg", "duration_secs": 1.0, "waveform": "AAAA"}


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


def gallery(*names: str, text: str = "A fox") -> discord.ui.LayoutView:
    items = [discord.MediaGalleryItem(f"attachment://{name}", description=f"alt of {name}") for name in names]
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(text))
    view.add_item(discord.ui.MediaGallery(*items))
    return view


def text_view(*texts: str) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    for text in texts:
        view.add_item(discord.ui.TextDisplay(text))
    return view


def file(name: str, data: bytes) -> discord.File:
    return discord.File(io.BytesIO(data), name)


async def test_edits_keep_add_and_drop_pictures(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    red, blue = picture("red"), picture("blue")
    sent = await place.send(view=gallery("red.png"), files=[file("red.png", red)])
    message = guild.channels[0].last_message

    (shown,) = message.pictures
    assert (shown.data, shown.alt_text, message.text) == (red, "alt of red.png", "A fox")
    assert (sent.attachments[0].width, sent.attachments[0].content_type) == (8, "image/png")

    view = gallery("red.png", "blue.png")
    edited = await sent.edit(view=view, attachments=[*sent.attachments, file("blue.png", blue)])
    assert [one.data for one in message.pictures] == [red, blue]

    await edited.edit(view=gallery("blue.png"), attachments=[edited.attachments[1]])
    assert [one.data for one in message.pictures] == [blue]
    assert [len(version.attachments) for version in message.versions] == [1, 2, 1]
    assert emulator.violations == []


async def test_a_plain_message_becomes_components_and_never_goes_back(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    sent = await place.send("plain")
    with pytest.raises(discord.HTTPException) as mixed:
        await sent.edit(view=gallery("red.png"), attachments=[file("red.png", picture("red"))])
    await sent.edit(content=None, view=gallery("red.png"), attachments=[file("red.png", picture("red"))])
    with pytest.raises(discord.HTTPException) as undone:
        await sent.edit(content="plain again")

    assert mixed.value.code == undone.value.code == 50035
    assert guild.channels[0].last_message.is_v2
    assert len(emulator.violations) == 2


async def test_limits_give_discords_error_tree(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    with pytest.raises(discord.HTTPException) as long:
        await place.send("a" * 2001)
    with pytest.raises(discord.HTTPException) as missing:
        await place.send(view=gallery("nowhere.png"))
    with pytest.raises(discord.HTTPException) as wordy:
        await place.send(view=text_view("a" * 2001, "b" * 2000))
    with pytest.raises(discord.HTTPException) as empty:
        await place.send("")

    assert "In content: 2001 characters, at most 2000 allowed" in str(long.value)
    assert "attachment://nowhere.png is no file of this message" in str(missing.value)
    assert "4001 characters of text, at most 4000 allowed" in str(wordy.value)
    assert empty.value.code == 50006
    assert len(emulator.violations) == 3


async def test_a_file_above_the_guilds_limit_is_too_large(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    guild.upload_limit_bytes = 1000
    with pytest.raises(discord.HTTPException) as refused:
        await client.find_text_channel(guild.channels[0]).send(file=file("big.bin", bytes(1001)))

    assert (refused.value.status, refused.value.code) == (413, 40005)


@pytest.mark.parametrize(
    ("changes", "sound", "code"),
    [
        ({}, make_ogg(1), 0),
        ({"content": "Listen"}, make_ogg(1), 50159),
        ({"attachments": [{"id": 0, "filename": "a.ogg", "duration_secs": 1.0}]}, make_wav(1), 50160),
        ({"attachments": [{"id": 0, "filename": "a.ogg"}]}, make_ogg(1), 50161),
        ({"attachments": [VOICE_FACTS | {"waveform": b64encode(bytes(257)).decode()}]}, make_ogg(1), 50161),
    ],
    ids=["whole", "words", "another format", "no length", "long waveform"],
)
async def test_a_voice_message_is_one_recording_that_nobody_edits(
    client: DiscordTestClient, guild: DiscordGuildState, changes: dict[str, Any], sound: bytes, code: int
) -> None:
    place = client.find_text_channel(guild.channels[0])
    body = {"flags": 1 << 13, "attachments": [VOICE_FACTS], **changes}
    recording = file("a.ogg", sound)
    form: list[dict[str, Any]] = [
        {"name": "payload_json", "value": json.dumps(body)},
        {"name": "files[0]", "value": recording.fp, "filename": "a.ogg", "content_type": "audio/ogg"},
    ]
    parameters = discord.http.MultipartParameters(None, form, [recording])

    if code:
        with pytest.raises(discord.HTTPException) as refused:
            await client.http.send_message(place.id, params=parameters)
        assert refused.value.code == code
        return
    sent = await client.http.send_message(place.id, params=parameters)
    with pytest.raises(discord.HTTPException) as refused:
        await place.get_partial_message(int(sent["id"])).edit(content="Listen")
    assert refused.value.code == 50162


async def test_a_nonce_makes_a_repeated_post_one_message(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    place = client.find_text_channel(guild.channels[0])
    first, second = await place.send("once", nonce="job-1"), await place.send("once", nonce="job-1")

    assert first.id == second.id
    assert len(guild.channels[0].messages) == 1


async def test_notifications_follow_allowed_mentions(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    place = client.find_text_channel(guild.channels[0])
    await place.send(f"@everyone {ana.user.mention}")
    await place.send(ana.user.mention, allowed_mentions=discord.AllowedMentions(users=True))

    quiet, loud = guild.channels[0].messages
    assert quiet.notified_users == []
    assert not quiet.mentions_everyone
    assert loud.notified_users == [ana.user]


async def test_text_without_allowed_mentions_is_a_violation(
    emulator: DiscordEmulator, guild: DiscordGuildState
) -> None:
    async with DiscordTestClient() as careless:
        careless._connection.allowed_mentions = None
        with redirect_discord_py(emulator):
            await careless.login(emulator.token)
            await careless.get_partial_messageable(guild.channels[0].id).send("hello @everyone")

    assert guild.channels[0].last_message.mentions_everyone
    (violation,) = emulator.violations
    assert violation.endswith("words are sent without allowed_mentions")


async def test_an_edit_without_a_change_is_recorded(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    sent = await client.find_text_channel(guild.channels[0]).send("hello")
    await sent.edit(content="hello")
    await sent.edit(content="hello!")

    assert len(emulator.redundant_edits) == 1


async def test_a_file_is_served_until_its_url_expires(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    sent = await client.find_text_channel(guild.channels[0]).send(file=file("a fox.png", picture("red")))
    (attachment,) = sent.attachments

    assert attachment.filename == "a_fox.png"
    assert await attachment.read() == picture("red")

    emulator.clock.advance(25 * 3600)
    with pytest.raises(discord.NotFound):
        await attachment.read()


async def test_old_messages_take_a_limited_number_of_edits(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    emulator.max_old_edits = 1
    client.http.max_ratelimit_timeout = 30
    sent = await client.find_text_channel(guild.channels[0]).send("hello")
    emulator.clock.advance(3601)
    await sent.edit(content="one")
    with pytest.raises(discord.RateLimited):
        await sent.edit(content="two")

    assert emulator.find_requests("update_message")[-1].code == 30046


async def test_history_is_read_in_pages(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    said = [await ana.say(f"line {number}") for number in range(5)]
    place = client.find_text_channel(guild.channels[0])

    latest = [message.content async for message in place.history(limit=2)]
    after = [message.content async for message in place.history(after=discord.Object(said[2].id))]

    assert latest == ["line 4", "line 3"]
    assert after == ["line 3", "line 4"]
