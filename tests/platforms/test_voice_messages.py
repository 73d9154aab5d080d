"""Voice messages on Discord and in Slack: transcript, answer, and the answer aloud, each where the question was."""

import base64
import re
from pathlib import Path

from bot.core.models import Task
from tests.emulators.discord.files import VOICE_MESSAGE as VOICE
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.slack.forms import SlackFileUpload
from tests.fakes.backend import ScriptedBackend
from tests.media.recordings import make_ogg, make_wav
from tests.platforms.discord.dialogue import DiscordStaff, run_command
from tests.platforms.discord.town import finish, is_done, open_town
from tests.platforms.slack.dialogue import run_command as run_slack_command
from tests.platforms.slack.office import create_office
from tests.platforms.slack.test_chat import wait_for_answer

PATIENCE_SECONDS = 20.0
"""Time for a chain of three jobs on a busy machine."""


def list_tasks(backend: ScriptedBackend) -> list[Task]:
    return [run.model.task for run in backend.runs.values()]


async def test_discord_answers_a_voice_message_in_the_bots_thread(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await run_command(DiscordStaff(town).mia, "settings chat", {"voice": "speak"})
        town.backend.answers = [("Hello.",), ("Light in drops.",)]
        await finish(await town.ana.use_command("chat", {"message": "hello"}, channel=town.general))
        thread = await town.wait_until(lambda: town.general.last_message.thread, PATIENCE_SECONDS)
        town.backend.will(words=("What is a rainbow?",))

        await town.ana.send_voice_message(make_ogg(2), 2, thread)
        sound = await town.wait_until(
            lambda: next(
                (
                    one
                    for one in thread.messages
                    if is_done(one) and any(file.filename.endswith(".wav") for file in one.attachments)
                ),
                None,
            ),
            PATIENCE_SECONDS,
        )

        assert list_tasks(town.backend) == [Task.CHAT, Task.TRANSCRIBE, Task.CHAT, Task.SPEAK]
        texts = [message.text for message in thread.messages]
        assert any(text.startswith("What is a rainbow?") for text in texts)
        assert any(text.startswith("Light in drops.") for text in texts)
        assert town.backend.last_run.inputs["text"] == "Light in drops."
        assert sound.attachments[0].data == make_wav(1)


async def test_a_speech_in_ogg_is_a_voice_message_on_discord_where_the_bot_may_send_one(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        town.backend.will(picture=make_ogg(2))
        head = await finish(await town.ana.use_command("speak", {"text": "Hello"}))
        voice = await town.wait_until(
            lambda: next((one for one in town.general.messages if one.flags & VOICE), None), PATIENCE_SECONDS
        )
        await town.ana.press(head, "Delete")
        await town.wait_until(lambda: voice.is_deleted and head.is_deleted, PATIENCE_SECONDS)
        town.general.deny(town.emulator.bot, "send_voice_messages")
        player = await finish(await town.ana.use_command("speak", {"text": "Hello again"}))

        assert not head.attachments
        assert head.button_labels == ["Again", "Delete", "Report"]
        (sound,) = voice.attachments
        assert (sound.filename, sound.voice_seconds) == ("hello.ogg", 2)
        assert base64.b64decode(sound.waveform) == bytes([255] * 20)
        assert not voice.content
        assert [file.data for file in player.attachments] == [sound.data]
        assert town.emulator.violations == []


async def test_discord_answers_a_voice_message_in_direct_messages(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await run_command(DiscordStaff(town).mia, "settings chat", {"voice": "text"})
        town.backend.will(words=("What is a rainbow?",))
        town.backend.answers = [("Light in drops.",)]

        await town.ana.send_voice_message(make_ogg(2), 2, town.ana.direct_channel)
        await town.wait_until(lambda: len(town.ana.direct_channel.messages) == 3, PATIENCE_SECONDS)
        await town.ana.direct_channel.last_message.wait_until(is_done, timeout_seconds=PATIENCE_SECONDS)

        assert [message.text.partition("\n")[0] for message in town.ana.direct_channel.messages[1:]] == [
            "What is a rainbow?",
            "Light in drops.",
        ]


async def test_slack_answers_a_clip_in_its_thread(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path)).open()
    await run_slack_command(office.otto, "/settings chat --voice text", office.general)
    office.backend.will(words=("What is a rainbow?",))
    office.backend.answers = [("Light in drops.",), ("Red.",)]

    clip = SlackFileUpload("audio_message.m4a", make_wav(2))
    message = await office.ana.say(f"{office.team.mention} briefly", office.general, files=[clip])
    thread = office.general.get_thread(message)
    await thread.wait_for_bot_message("What is a rainbow?", timeout_seconds=PATIENCE_SECONDS)
    answer = await thread.wait_for_bot_message(
        "Light in drops.", condition=lambda one: "Delete" in one.button_labels, timeout_seconds=PATIENCE_SECONDS
    )
    first = office.backend.last_run.words
    await office.ana.say("and its first colour?", thread=message)
    await wait_for_answer(thread, after=answer)
    await office.close()
    await office.slack.stop()

    assert list_tasks(office.backend) == [Task.TRANSCRIBE, Task.CHAT, Task.CHAT]
    assert first.endswith("briefly\n\nWhat is a rainbow?")
    assert "What is a rainbow?" in office.backend.last_run.words
    assert office.slack.violations == []


async def test_slack_speaks_the_answer_to_a_clip_in_its_thread(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path)).open()
    await run_slack_command(office.otto, "/settings chat --voice speak", office.general)
    office.backend.will(words=("What is a rainbow?",), picture=make_ogg(2))
    office.backend.answers = [("**Light** in drops.",)]

    clip = SlackFileUpload("audio_message.m4a", make_wav(2))
    message = await office.ana.say(office.team.mention, office.general, files=[clip])
    thread = office.general.get_thread(message)
    spoken = await thread.wait_for_bot_message(condition=lambda one: bool(one.files), timeout_seconds=PATIENCE_SECONDS)
    await office.wait_until_idle()
    await office.close()
    await office.slack.stop()

    assert list_tasks(office.backend) == [Task.TRANSCRIBE, Task.CHAT, Task.SPEAK]
    assert office.backend.last_run.inputs["text"] == "Light in drops."
    assert [file.name for file in spoken.files] == ["light-in-drops.ogg"]
    assert office.slack.violations == []


TOO_LONG = re.compile(r"That sound is .* long, and .* at most .*: cut it, please\.")
LONG_SOUND = make_wav(15_000, hertz=8)


async def test_a_recording_that_is_too_long_is_refused_on_discord(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await run_command(DiscordStaff(town).mia, "settings chat", {"voice": "text"})
        direct = town.ana.direct_channel

        await town.ana.send_direct_message("", files=[DiscordFileUpload("recording.wav", LONG_SOUND)])
        refusal = await town.wait_until(lambda: direct.messages[1:] and direct.last_message)

        assert TOO_LONG.fullmatch(refusal.text)
        assert town.backend.runs == {}


async def test_a_clip_that_is_too_long_is_refused_in_slack(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path)).open()
    await run_slack_command(office.otto, "/settings chat --voice text", office.general)

    await office.ana.say("", files=[SlackFileUpload("audio_message.m4a", LONG_SOUND)])
    refusal = await office.ana.direct_channel.wait_for_bot_message(condition=lambda one: "long" in one.visible_text)
    await office.close()
    await office.slack.stop()

    assert TOO_LONG.search(refusal.visible_text)
    assert office.backend.runs == {}
    assert office.slack.violations == []
