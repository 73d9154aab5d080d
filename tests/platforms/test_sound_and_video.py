"""/speak, /music, /video, Animate and Transcribe on Discord, in Slack and on the page, with files for decoders."""

import io
import json
import wave
from pathlib import Path

import aiohttp
import pytest

from bot.media.recordings import measure_recording
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.slack.forms import SlackFileUpload
from tests.media.recordings import make_ogg
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import finish, open_town
from tests.platforms.slack.office import create_office
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.platforms.web.web_bot import open_web_bot

# slack_sdk 3.47 signs its exchange of codes with aiohttp's deprecated BasicAuth.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

VOICE = make_ogg(3)
STORY = "The fox went out on a chilly night. " * 80
"""Two parts of the default model."""


def check_sound(content: bytes, seconds: int = 1) -> None:
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getnframes() == seconds * sound.getframerate()


def check_video(content: bytes) -> None:
    facts = measure_recording(content)
    assert (facts.mime, facts.duration_seconds) == ("video/webm", 1)


async def test_discord_plays_and_transcribes(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        spoken = await finish(await town.ana.use_command("speak", {"text": "Hello"}))
        played = await finish(await town.ana.use_command("music", {"prompt": "calm piano"}))
        filmed = await finish(await town.ana.use_command("video", {"prompt": "a fox", "duration": 1}))
        moved = await finish(await town.ana.press(await draw_picture(town.ana), "Animate · P-Video, 20 credits"))
        said = await town.ana.say("listen", files=[DiscordFileUpload("voice-message.ogg", VOICE)])
        read = await finish(await town.ana.use_message_command("Transcribe", said))
        empty = await town.ana.use_message_command("Transcribe", spoken)

        assert [file.filename for file in spoken.attachments] == ["hello.wav"]
        for message in (spoken, played):
            check_sound(message.attachments[0].data)
        for message in (filmed, moved):
            check_video(message.attachments[0].data)
        assert read.text.startswith("A short answer.")
        assert town.backend.last_run.model.key == "scribe"
        assert (await finish(empty)).text.startswith("A short answer.")


async def test_slack_plays_and_transcribes(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path)).open()
    shown = []
    for command, words in (("/speak", "Hello"), ("/music", "calm piano"), ("/video", "a fox --duration 1")):
        await office.ana.use_command(command, words, office.general)
        shown.append(await office.general.wait_for_bot_message(condition=lambda one: one.files and one not in shown))
    spoken, played, filmed = shown
    post = await office.ana.say("listen", office.general, files=[SlackFileUpload("voice.ogg", VOICE)])
    await office.ana.use_message_shortcut("picture:transcribe", post)
    await office.general.wait_for_bot_message(condition=lambda one: "A short answer." in one.visible_text)
    await office.close()
    await office.slack.stop()

    assert [file.name for file in spoken.files] == ["hello.wav"]
    check_sound(spoken.files[0].content)
    check_sound(played.files[0].content)
    check_video(filmed.files[0].content)
    assert office.backend.last_run.model.key == "scribe"
    assert office.slack.violations == []


async def test_the_words_of_the_message_replied_to_are_spoken(tmp_path: Path) -> None:
    async with open_town(tmp_path / "town") as town:
        story = await town.ben.say("Once upon a time.")
        await town.ana.say(f"<@{town.emulator.state.bot.id}> speak", reply_to=story)
        spoken = await town.wait_until(lambda: next((one for one in town.general.messages if one.attachments), None))
        assert spoken.attachments[0].filename == "once-upon-a-time.wav"
        assert town.backend.last_run.inputs["text"] == "Once upon a time."

        file = DiscordFileUpload("story.txt", STORY.encode())
        await town.ana.say(f"<@{town.emulator.state.bot.id}> speak:", files=[file])
        told = await town.wait_until(
            lambda: next((one for one in town.general.messages if one.attachments and "2 parts" in one.text), None)
        )
        (sound,) = told.attachments
        check_sound(sound.data, 2)
        assert told.button_labels == ["Again", "Delete", "Report"]

    office = await (await create_office(tmp_path / "office")).open()
    post = await office.ana.say("Once upon a time.", office.general)
    await office.ana.say(f"{office.team.mention} speak", thread=post)
    await office.wait_until_idle()
    await office.general.wait_for_bot_message(condition=lambda one: one.files)
    assert office.backend.last_run.inputs["text"] == "Once upon a time."
    long = await office.ana.say(STORY, office.general)
    await office.ana.say(f"{office.team.mention} speak", thread=long)
    told = await office.general.wait_for_bot_message("2 parts", condition=lambda one: one.files)
    await office.close()
    await office.slack.stop()

    (sound,) = told.files
    check_sound(sound.content, 2)
    assert told.button_labels == ["Again", "Delete", "Report"]
    assert office.slack.violations == []


async def test_the_page_plays_and_transcribes(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as bot:
        ana = await bot.invite("Ana")
        shown = [await ana.ask(line) for line in ("/speak Hello", "/music calm piano", "/video a fox --duration 1")]
        contents = []
        for message in shown:
            (media,) = message["media"]
            async with ana.session.get(f"{ana.address}{media['src']}") as response:
                contents.append(await response.read())
        form = aiohttp.FormData()
        form.add_field("ask", json.dumps({"channel": "main", "text": "/transcribe", "request_id": "upload-1"}))
        form.add_field("audio", VOICE, filename="voice.ogg", content_type="audio/ogg")
        async with ana.session.post(f"{ana.address}/api/say", data=form, headers=PAGE_HEADERS) as response:
            assert response.status == 200
        read = await ana.wait_for_result()

    assert [message["media"][0]["kind"] for message in shown] == ["audio", "audio", "video"]
    check_sound(contents[0])
    check_sound(contents[1])
    check_video(contents[2])
    assert "A short answer." in str(read)
    assert bot.backend.last_run.model.key == "scribe"
