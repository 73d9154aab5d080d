"""Sounds and videos: players in plain messages, and files of people told by their kinds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.file_types import RECORDINGS, MediaKind
from bot.core.invocations import Attachment
from bot.media.recordings import measure_recording
from bot.platforms.discord.uploads import DiscordFiles
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.message_payloads import message_json
from tests.fakes.backend import make_png
from tests.media.catalogue import write_recording_catalogue
from tests.media.recordings import make_mp3, make_mp4, make_ogg, make_wav, make_webm
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import Town, finish, is_done, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    catalogue = await asyncio.to_thread(write_recording_catalogue, tmp_path / "models.toml")
    async with open_town(tmp_path, catalogue_path=catalogue, public_url="https://easel.example") as new_town:
        yield new_town


async def test_a_sound_has_a_player_the_facts_and_the_buttons_in_one_message(town: Town) -> None:
    town.backend.will(picture=make_wav(2))

    message = await draw_picture(town.ana, prompt="a sea shanty")

    [file] = message.attachments
    assert not message.is_v2
    assert (file.filename, file.data) == ("a-sea-shanty.wav", make_wav(2))
    assert measure_recording(file.data).duration_seconds == 2
    assert "tune · 0:02" in message.text
    assert message.button_labels == ["Again", "Delete", "Report"]


async def test_a_video_of_a_model_is_attached_and_again_makes_another(town: Town) -> None:
    town.backend.will(picture=make_webm(1))

    message = await draw_picture(town.ana, prompt="waves", model="film")
    again = await finish(await town.ana.press(message, "Again"))

    assert [file.filename for file in message.attachments] == ["waves.webm"]
    assert again.id != message.id
    assert [file.data for file in again.attachments] == [make_webm(1)]


async def test_a_sound_above_the_upload_limit_is_a_link_to_the_page(town: Town) -> None:
    town.backend.will(picture=make_mp3(80))
    town.guild.upload_limit_bytes = 1_100_000

    message = await draw_picture(town.ana, prompt="a sea shanty")

    assert message.attachments == []
    assert "the sound (1.3 MB) is too large to be uploaded here: <https://easel.example/shared/" in message.text
    assert message.text.count("?name=a-sea-shanty.mp3>") == 1
    assert "Again" in message.button_labels


async def test_without_an_address_of_the_page_a_large_sound_is_told(tmp_path: Path) -> None:
    catalogue = await asyncio.to_thread(write_recording_catalogue, tmp_path / "models.toml")
    async with open_town(tmp_path, catalogue_path=catalogue) as town:
        town.backend.will(picture=make_mp3(80))
        town.guild.upload_limit_bytes = 1_100_000

        message = await draw_picture(town.ana, prompt="a sea shanty")

    assert "the sound (1.3 MB) is too large to be uploaded here; ask for a shorter one" in message.text


async def test_a_deleted_sound_leaves_nothing_behind(town: Town) -> None:
    town.backend.will(picture=make_wav(1))
    message = await draw_picture(town.ana, prompt="a sea shanty")

    await (await town.ana.press(message, "Delete")).wait_for_acknowledgement()
    await town.wait_until(lambda: message.is_deleted and not town.list_kept_files())


async def test_a_voice_message_in_a_chat_is_refused_with_the_kinds_that_are_read(town: Town) -> None:
    voice = DiscordFileUpload("voice-message.ogg", make_ogg(2))
    said = await town.ana.say(f"<@{town.emulator.state.bot.id}>", files=[voice])

    refusal = await town.wait_until(lambda: town.general.last_message is not said and town.general.last_message)

    assert refusal.text.startswith("I cannot read voice-message.ogg: I read pictures, PDFs and text files.")


async def test_files_of_a_message_are_chosen_by_their_kinds(town: Town) -> None:
    files = [
        DiscordFileUpload("notes.txt", b"words"),
        DiscordFileUpload("voice-message.ogg", make_ogg(2)),
        DiscordFileUpload("waves.mp4", make_mp4(2)),
    ]
    raw = message_json(await town.ana.say("listen", files=files))
    reader = DiscordFiles(town.app.media, town.emulator.cdn_url)

    given = reader.list_given(raw, RECORDINGS)
    voice = given[0]
    assert isinstance(voice, Attachment)

    assert [file.name for file in given if isinstance(file, Attachment)] == ["voice-message.ogg", "waves.mp4"]
    assert reader.list_given(raw, [MediaKind.PICTURE]) == []
    assert await voice.read() == make_ogg(2)


async def test_a_voice_message_is_written_down_from_its_menu_and_by_the_last_one_here(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        voice = await town.ana.send_voice_message(make_ogg(2), 2.0, town.general)

        from_menu = await finish(await town.ben.use_message_command("Transcribe", voice))
        await town.ana.say("a picture in between", town.general, files=[DiscordFileUpload("a.png", make_png())])
        left_out = await finish(await town.ana.use_command("transcribe", channel=town.general))
        asked = await town.ana.say(f"<@{town.emulator.state.bot.id}> transcribe", reply_to=voice)
        in_reply = await town.wait_until(lambda: town.general.last_message is not asked and town.general.last_message)
        await town.wait_until(lambda: is_done(in_reply))

        assert [message.text.split("\n")[0] for message in (from_menu, left_out)] == ["A short answer."] * 2
        assert [run.model.task for run in town.backend.runs.values()] == ["transcribe"] * 3
        assert {str(run.inputs["audio"])[:15] for run in town.backend.runs.values()} == {"data:audio/ogg;"}


async def test_a_question_in_reply_to_a_sound_is_answered_without_the_sound(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        voice = await town.ana.send_voice_message(make_ogg(2), 2.0, town.general)

        asked = await town.ana.say(f"<@{town.emulator.state.bot.id}> what is a sea shanty?", reply_to=voice)
        thread = await town.wait_until(lambda: asked.thread)
        await town.wait_until(lambda: thread.messages and is_done(thread.last_message))

        assert "(A sound belongs to this, which you cannot hear: voice-message.ogg)" in town.backend.last_run.words


async def test_a_video_for_adults_is_a_spoiler(town: Town) -> None:
    town.backend.will(picture=make_webm(1))
    night = town.guild.add_channel("night", age_restricted=True)

    message = await draw_picture(town.ana, channel=night, prompt="waves", model="noir")

    assert [file.filename for file in message.attachments] == ["SPOILER_waves.webm"]
