"""Long texts of /speak, at the bench: parts, one sound, the price of all, missing parts, Stop, and kills in between."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.file_types import MediaKind
from bot.core.jobs import JobState
from bot.core.replies import Reply, Tone
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.parsing import split_sentences
from bot.dispatch.plain_text import invocation_from_text
from bot.jobs import batches
from bot.media.joining import join_sounds
from tests.bench import Bench, make_attachment
from tests.commands.test_batch import restart_between_runs
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, OWNER
from tests.media.recordings import make_flac, make_mp3, make_wav

SENTENCE = "The fox went out on a chilly night, and prayed for the moon. "
STORY = (SENTENCE * 80).strip()
"""Three parts of the default model, which takes 2,000 characters at once."""

PARTS = [(SENTENCE * n).strip() for n in (32, 32, 16)]
PRICE_MICROS = 10 * sum(map(len, PARTS))


async def finish(bench: Bench) -> Reply:
    await bench.wait_until_idle()
    await bench.advance_time(batches.CHECK_SECONDS)
    return bench.last_message.reply


async def speak(bench: Bench, options: str = "") -> Reply:
    assert await bench.say(f"/speak {STORY} {options}") is None
    return await finish(bench)


async def test_a_long_text_becomes_one_sound_in_one_message(bench: Bench) -> None:
    reply = await speak(bench, "--voice Ashley --model inworld-tts --language en")

    assert [run.inputs for run in bench.backend.runs.values()] == [
        {"text": part, "voice_id": "Ashley"} for part in PARTS
    ]
    (file,) = reply.result_files
    assert (file.kind, file.duration_seconds, reply.text, reply.tone) == (MediaKind.AUDIO, 3, "", Tone.DONE)
    assert file.name == "the-fox-went-out-on-a-chilly-night-and-prayed-fo.wav"
    assert reply.note.startswith("Inworld TTS 1.5 Max · 3 parts · 0:03 · ")
    assert "without language, which Inworld TTS 1.5 Max does not have" in reply.note
    assert [button.label for button in reply.buttons] == ["Again", "Delete", "Report"]
    assert len(bench.platform.messages) == 1
    assert bench.starting_credits - await bench.balance() == PRICE_MICROS
    assert await bench.list_open_holds() == []
    assert await bench.app.jobs.render(await bench.get_job()) == reply


async def test_the_sound_holds_every_part_in_order(bench: Bench) -> None:
    await bench.say(f"/speak {STORY}")
    sounds = [make_mp3(seconds) for seconds in (1, 2, 3)]
    reply = await finish(bench)
    assert reply.result_files[0].mime == "audio/wav"

    bench.backend.will(hangs_after=0)
    await bench.press("again")
    runs = list(bench.backend.runs.values())[3:]
    for run, sound in zip(runs, sounds, strict=True):
        run.script = replace(run.script, picture=sound)
        run.released.set()
    reply = await finish(bench)

    assert [run.inputs["text"] for run in runs] == PARTS
    path = bench.app.media.find_path(reply.result_files[0].sha256)
    assert path is not None
    assert path.read_bytes() == b"".join(sounds)


async def test_the_whole_price_is_asked_above_the_threshold(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 30", by=MODERATOR)

    question = await bench.say(f"/speak {STORY}")

    assert question is not None
    assert question.text == "Spoken in 3 parts, this costs 48.8 credits with Inworld TTS 1.5 Max. Go ahead?"
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    await bench.app.dispatcher.handle_press(_press(question, "Go ahead"))
    assert (await finish(bench)).result_files[0].duration_seconds == 3


def _press(reply: Reply, label: str) -> ButtonPress:
    button = next(button for button in reply.buttons if button.label == label)
    return ButtonPress(ANA, CHANNEL, button.action, button.job, button.n, f"web:{label}", "")


async def test_a_purse_or_a_limit_that_is_too_small_for_all_parts_refuses_the_whole(bench: Bench) -> None:
    short = await bench.say(f"/speak {STORY * 4}")
    await bench.say("/quota set ana --at_once 3", by=MODERATOR)
    narrow = await bench.say(f"/speak {STORY}")

    assert short is not None
    assert narrow is not None
    assert short.text.startswith("These 11 parts cost 195.1 credits, and yours last for 5 of them. Give a shorter text")
    assert narrow.text == "This text takes 3 requests, and you have room for 2 now. Give a shorter text, or wait."
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits


async def test_a_missing_part_is_named_and_free(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(f"/speak {STORY}")
    for n, run in enumerate(bench.backend.runs.values()):
        run.script = replace(run.script, error="out of memory" if n == 1 else "")
        run.released.set()
    reply = await finish(bench)

    assert reply.text == "⚠ Part 2 of 3 is missing: The model failed: out of memory. You were not charged."
    assert reply.result_files[0].duration_seconds == 2
    assert bench.starting_credits - await bench.balance() == 10 * (len(PARTS[0]) + len(PARTS[2]))


async def test_without_any_part_the_whole_fails_and_can_be_tried_again(bench: Bench) -> None:
    bench.backend.will(error="out of memory")
    failed = await speak(bench)
    balance = await bench.balance()
    bench.backend.will(error="")
    await bench.press("retry")
    await finish(bench)

    assert failed.text == "⚠ The model failed: out of memory. You were not charged."
    assert failed.tone is Tone.ERROR
    assert balance == bench.starting_credits
    assert bench.last_message.reply.result_files[0].duration_seconds == 3


async def test_stop_ends_all_parts_and_keeps_what_is_spoken(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(f"/speak {STORY}")
    first, *_ = bench.backend.runs.values()
    first.released.set()
    working = await finish(bench)
    for run in list(bench.backend.runs.values())[1:]:
        run.script = replace(run.script, metrics=RunMetrics(predict_seconds=0))
    await bench.press("cancel")
    reply = await finish(bench)

    assert working.note == "Inworld TTS 1.5 Max · 1 of 3 parts done · at most 48.8 credits"
    assert reply.text == "⚠ Parts 2 and 3 of 3 are missing: stopped."
    assert reply.result_files[0].duration_seconds == 1
    assert len(bench.backend.cancelled) == 2
    assert await bench.list_open_holds() == []


async def test_sounds_that_cannot_be_joined_follow_in_order(bench: Bench) -> None:
    await bench.app.jobs.record_user(ANA)
    wallets = bench.app.dispatcher.services.credits.wallets
    await wallets.grant(OWNER, ANA, 5_000_000, "web:grant", is_owner=True)
    bench.backend.will(picture=make_flac(1))
    await bench.say(f"/speak {'word ' * 1_200} --model chatterbox-turbo")
    await finish(bench)

    first, second = (message.reply for message in bench.platform.messages.values())
    assert first.text == "These sounds cannot be joined to one file: play them one after the other."
    assert [len(reply.result_files) for reply in (first, second)] == [10, 2]
    assert first.result_files[1].name.endswith("-2.flac")


async def test_a_full_disk_costs_no_part_that_is_spoken(bench: Bench) -> None:
    joined = b"".join(join_sounds([make_wav()] * 3, "audio/wav"))
    block(bench, joined)

    reply = await speak(bench)

    assert reply.text == "These sounds cannot be joined to one file: play them one after the other."
    assert [file.duration_seconds for file in reply.result_files] == [1, 1, 1]
    assert reply.tone is Tone.DONE


def block(bench: Bench, content: bytes) -> None:
    """Let a file that would have this content find no place in the folder of files."""
    folder = bench.app.settings.data_dir / "media" / hashlib.sha256(content).hexdigest()[:2]
    folder.parent.mkdir(exist_ok=True)
    folder.write_bytes(b"")


async def test_the_whole_is_the_last_recording_here(bench: Bench) -> None:
    await speak(bench)

    await bench.say("/transcribe")

    whole = next(iter(bench.platform.messages.values())).reply.result_files[0].sha256
    assert str(bench.backend.last_run.inputs["audio"]).endswith(whole)


async def test_a_chat_model_that_speaks_a_long_text_goes_on_once(bench: Bench) -> None:
    await bench.say("/settings chat --tools on", by=MODERATOR)
    bench.backend.answers = [(f'{{"tool": "speak", "text": "{STORY}"}}',), ("Did you like it?",)]

    await bench.say("/chat tell me a story aloud")
    await finish(bench)

    chat, *parts, last = bench.backend.runs.values()
    assert [part.inputs["text"] for part in parts] == PARTS
    assert bench.last_message.text == "Did you like it?"
    assert "speak made 1 file, which the person sees." in str(last.inputs)
    assert chat.model.key == last.model.key
    assert await bench.list_open_holds() == []


@pytest.mark.parametrize("ended", [0, 1, 3])
async def test_a_kill_between_parts_loses_and_doubles_nothing(tmp_path: Path, ended: int) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say(f"/speak {STORY}")

    second = await restart_between_runs(first, tmp_path, ended)

    assert len(second.backend.runs) == 3
    (message,) = second.platform.messages.values()
    assert message.reply.result_files[0].duration_seconds == 3
    assert second.starting_credits - await second.balance() == PRICE_MICROS
    assert await second.list_open_holds() == []
    assert (await second.get_job()).state is JobState.DELIVERED
    await second.close()


async def test_a_text_file_is_spoken(bench: Bench) -> None:
    story = make_attachment(STORY.encode(), "story.txt", "text/plain")
    services = bench.app.dispatcher.services

    invocation = await invocation_from_text(services, ANA, CHANNEL, "speak:", "web:1", files=[story])

    assert (invocation.command, invocation.options, invocation.attachments) == ("speak", {"text": STORY}, {})


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("One. Two. Three.", 10, ["One. Two.", "Three."]),
        ("He said “Go!” Then he left.", 16, ["He said “Go!”", "Then he left."]),
        ("A line\nand another", 12, ["A line", "and another"]),
        ("never inside a word", 9, ["never", "inside a", "word"]),
        ("3.5 is a number. Yes.", 16, ["3.5 is a number.", "Yes."]),
        ("狐。！？狸だ。", 5, ["狐。！？", "狸だ。"]),
        ("xxxxe\u0301xx", 5, ["xxxx", "e\u0301xx"]),
        ("\u0301" * 7, 5, ["\u0301" * 5, "\u0301" * 2]),
        ("short", 5, ["short"]),
    ],
)
def test_parts_end_with_a_sentence_or_else_with_a_word(text: str, most: int, parts: list[str]) -> None:
    assert split_sentences(text, most) == parts
