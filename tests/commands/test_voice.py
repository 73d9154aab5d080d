"""Voice messages at the bench: the transcript, the answer in words and aloud, and what goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.catalogue.loading import BUILT_IN_PATH
from bot.core.errors import BadFile
from bot.core.models import Task
from bot.core.platform import Destination, MessageLimits, MessageLost
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.plain_text import invocation_from_text
from bot.media.recordings import read_voice
from tests.bench import Bench, make_attachment
from tests.commands.test_confirmation import build_press, press_and_wait
from tests.commands.test_long_speech import STORY, finish
from tests.fakes.clock import ManualClock
from tests.fakes.platform import FakePlatform
from tests.fakes.samples import ANA, CHANNEL, MODERATOR
from tests.media.recordings import make_ogg, make_wav


async def send_voice(bench: Bench, words: str = "", *, seconds: float = 2, key: str = "web:voice") -> Reply | None:
    """Send a recording to the bot as Ana, and wait until nothing happens any more."""
    recording = make_attachment(make_wav(seconds), "voice.wav", "audio/wav")
    services = bench.app.dispatcher.services
    invocation = await invocation_from_text(services, ANA, CHANNEL, words, key, files=[recording])
    reply = await bench.app.dispatcher.handle(invocation)
    await bench.wait_until_idle()
    return reply


async def turn_on(bench: Bench, voice: str) -> str:
    reply = await bench.say(f"/settings chat --voice {voice}", by=MODERATOR)
    assert reply is not None
    return reply.text


def list_tasks(bench: Bench) -> list[Task]:
    return [run.model.task for run in bench.backend.runs.values()]


async def test_a_voice_message_is_transcribed_and_answered_in_words(bench: Bench) -> None:
    shown = await turn_on(bench, "text")
    bench.backend.will(words=("What is ", "a rainbow?"))
    bench.backend.answers = [("Light in drops.",)]

    await send_voice(bench, "Answer in one line.")

    assert "**A voice message is answered**: in words" in shown
    assert list_tasks(bench) == [Task.TRANSCRIBE, Task.CHAT]
    assert bench.backend.last_run.words.endswith("Answer in one line.\n\nWhat is a rainbow?")
    transcript, answer = list(bench.platform.messages.values())[-2:]
    assert transcript.text == "What is a rainbow?"
    assert answer.text == "Light in drops."
    assert answer.destination.user == transcript.destination.user
    assert await bench.list_open_holds() == []


async def test_the_answer_is_spoken_without_marks_where_settings_say_so(bench: Bench) -> None:
    await turn_on(bench, "speak")
    bench.backend.answers = [("**Light** in `drops`.\n\n```text\nred\n```",)]

    await send_voice(bench)

    assert list_tasks(bench) == [Task.TRANSCRIBE, Task.CHAT, Task.SPEAK]
    assert bench.backend.last_run.inputs["text"] == "Light in drops.\n\n\nred"
    (sound,) = bench.last_message.reply.result_files
    assert sound.mime.startswith("audio/")


class VoicePlatform(FakePlatform):
    """Posts Ogg as voice messages, and may hang before a final edit."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("web", clock, MessageLimits(max_length=2_000, voice_mime="audio/ogg"))
        self.hangs = False
        self.refuses_voices = False

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        if reply.is_voice and self.refuses_voices:
            raise MessageLost("I may not send voice messages there.")
        return await super().post(destination, reply)

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        if self.hangs and reply.tone is Tone.DONE:
            await asyncio.Event().wait()
        await super().edit(message, reply)

    def list_voices(self) -> list[str]:
        return [one.destination.nonce.rpartition(":")[2] for one in self.messages.values() if one.reply.is_voice]


VoiceBench = tuple[Bench, VoicePlatform]


@pytest.fixture
async def voice_bench(tmp_path: Path) -> AsyncIterator[VoiceBench]:
    platform = VoicePlatform(clock := ManualClock())
    bench = await Bench.open(tmp_path, clock=clock, platform=platform)
    yield bench, platform
    await bench.close()


async def test_a_speech_in_ogg_is_a_voice_message_below_its_buttons_once_also_after_a_kill(tmp_path: Path) -> None:
    platform = VoicePlatform(clock := ManualClock())
    bench = await Bench.open(tmp_path, clock=clock, platform=platform, shutdown_grace_seconds=0.0)
    bench.backend.will(picture=make_ogg(2))
    platform.hangs = True
    await bench.say("/speak Hello")
    await bench.close()
    platform.hangs = False
    bench = await bench.open_again(tmp_path)
    await bench.wait_until_idle()

    head = next(iter(platform.messages.values()))
    assert platform.list_voices() == ["1"]
    assert not head.reply.result_files
    assert [button.action for button in head.reply.buttons] == ["again", "delete", "report"]
    assert len(bench.backend.runs) == 1
    assert await bench.list_open_holds() == []
    await bench.close()


@pytest.mark.parametrize(
    ("line", "sound", "is_refused"),
    [
        ("/speak Hello", make_wav(1), False),
        ("/speak Hello", make_ogg(1), True),
        ("/music calm piano", make_ogg(1), False),
    ],
    ids=["no Ogg", "refused", "no speech"],
)
async def test_any_other_sound_has_the_player_of_its_message(
    voice_bench: VoiceBench, line: str, sound: bytes, is_refused: bool
) -> None:
    bench, platform = voice_bench
    bench.backend.will(picture=sound)
    platform.refuses_voices = is_refused

    await bench.say(line)

    (message,) = platform.messages.values()
    assert len(message.reply.result_files) == 1


async def test_the_parts_of_a_long_text_are_one_voice_message(voice_bench: VoiceBench) -> None:
    bench, platform = voice_bench
    bench.backend.will(picture=make_ogg(1))

    await bench.say(f"/speak {STORY}")
    reply = await finish(bench)

    assert platform.list_voices() == ["1"]
    (sound,) = reply.result_files
    path = bench.app.media.find_path(sound.sha256)
    assert path is not None
    voice = read_voice(path.read_bytes())
    assert voice is not None
    # The samples that an encoder puts before the sound of each part stay.
    assert 3 <= voice.duration_seconds < 3.1
    assert voice.loudness == bytes([255] * 30)


async def test_a_long_answer_is_spoken_in_parts_as_one_sound(bench: Bench) -> None:
    await turn_on(bench, "speak")
    bench.backend.answers = [(STORY,)]

    await send_voice(bench)
    reply = await finish(bench)

    assert list_tasks(bench) == [Task.TRANSCRIBE, Task.CHAT, *([Task.SPEAK] * 3)]
    assert [file.duration_seconds for file in reply.result_files] == [3]
    assert await bench.list_open_holds() == []


async def test_an_answer_that_draws_first_is_spoken_at_its_end(bench: Bench) -> None:
    await turn_on(bench, "speak")
    await bench.say("/settings chat --tools on", by=MODERATOR)
    bench.backend.answers = [('Here.\n{"tool": "imagine", "prompt": "a fox"}',), ("There it is.",)]

    await send_voice(bench)

    assert list_tasks(bench) == [Task.TRANSCRIBE, Task.CHAT, Task.IMAGINE, Task.CHAT, Task.SPEAK]
    assert bench.backend.last_run.inputs["text"] == "There it is."


async def test_voice_messages_are_not_answered_until_a_moderator_says_so(bench: Bench) -> None:
    with pytest.raises(BadFile, match="I cannot read voice.wav: .* /transcribe takes a sound"):
        await send_voice(bench)

    assert bench.backend.runs == {}


async def test_a_command_with_a_recording_stays_a_command(bench: Bench) -> None:
    await turn_on(bench, "text")

    await send_voice(bench, "transcribe")

    assert list_tasks(bench) == [Task.TRANSCRIBE]


async def test_silence_is_told_in_a_sentence_and_costs_nothing(bench: Bench) -> None:
    await turn_on(bench, "speak")
    before = await bench.balance()
    bench.backend.will(words=(" ",))

    await send_voice(bench)

    assert list_tasks(bench) == [Task.TRANSCRIBE]
    assert "The model heard no words in this recording. You were not charged." in bench.last_text
    assert await bench.balance() == before


async def test_a_purse_too_small_for_the_transcription_is_told(bench: Bench) -> None:
    await turn_on(bench, "text")
    await bench.say("/usage")
    await bench.say("/quota set ana --day 0", by=MODERATOR)
    await bench.clock.advance(2)

    reply = await send_voice(bench)

    assert reply is not None
    assert reply.tone is Tone.ERROR
    assert bench.backend.runs == {}


async def test_voice_needs_models_that_listen_and_speak(tmp_path: Path) -> None:
    tables = BUILT_IN_PATH.read_text("utf-8").split("\n\n")
    catalogue = tmp_path / "models.toml"
    catalogue.write_text("\n\n".join(table for table in tables if 'task = "speak"' not in table))
    bench = await Bench.open(tmp_path, catalogue_path=catalogue)

    refused, changed = await turn_on(bench, "speak"), await turn_on(bench, "text")
    await bench.close()

    assert refused == "No model for /speak is on offer here, which voice needs."
    assert "in words" in changed


async def test_a_question_that_is_too_long_is_refused_below_the_transcript(bench: Bench) -> None:
    await turn_on(bench, "text")
    bench.backend.will(words=("What is a rainbow? " * 1_000,))

    await send_voice(bench)

    assert list_tasks(bench) == [Task.TRANSCRIBE]
    assert "message is 2999 characters too long" in bench.last_text


async def test_a_costly_transcription_asks_first_and_is_answered_afterwards(bench: Bench) -> None:
    await turn_on(bench, "text")
    await bench.say("/settings general --confirm_above 0.01", by=MODERATOR)
    question = await send_voice(bench, "In French.")
    assert question is not None
    assert bench.backend.runs == {}
    await bench.say("/settings general --confirm_above 0", by=MODERATOR)
    await bench.clock.advance(2)

    await press_and_wait(bench, build_press(question, "confirm"))

    assert list_tasks(bench) == [Task.TRANSCRIBE, Task.CHAT]
    assert "In French." in bench.backend.last_run.words


async def test_stop_ends_the_chain(bench: Bench) -> None:
    await turn_on(bench, "text")
    bench.backend.will(words=("What ", "is it?"), hangs_after=1)
    await send_voice(bench)

    await bench.press("cancel")

    assert list_tasks(bench) == [Task.TRANSCRIBE]


async def test_a_chain_goes_on_in_the_next_process(bench: Bench, tmp_path: Path) -> None:
    await turn_on(bench, "text")
    bench.backend.will(words=("What ", "is it?"), hangs_after=1)
    await send_voice(bench)
    bench.app.jobs.is_accepting = False
    bench.backend.will(hangs_after=None)
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    assert list_tasks(bench) == [Task.TRANSCRIBE]
    await bench.close()

    again = await bench.open_again(tmp_path)
    await again.wait_until_idle()

    assert list_tasks(again) == [Task.TRANSCRIBE, Task.CHAT]
    assert await again.list_open_holds() == []
    await again.close()
