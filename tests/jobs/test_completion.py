"""Completing a job: outputs are fetched and kept, and the real cost of each run counts."""

import asyncio
import wave
from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.errors import BackendDown
from bot.core.file_types import MediaKind
from bot.core.limits import MAX_OUTPUT_FILES
from bot.core.models import OutputKind
from bot.core.replies import Tone
from bot.media.media_store import KeptFile
from tests.bench import Bench
from tests.core.test_file_types import SAMPLES
from tests.fakes.backend import make_data_url, make_png
from tests.media.recordings import make_wav


async def test_fetching_an_output_is_retried(bench: Bench) -> None:
    fetch, failures = bench.app.media.take_output, [BackendDown("away"), BackendDown("away")]

    async def unsteady(url: str | bytes, output: OutputKind = OutputKind.PICTURES, **_: object) -> KeptFile:
        if failures:
            raise failures.pop()
        return await fetch(url, output)

    bench.app.media.take_output = unsteady  # type: ignore[method-assign,assignment]  # a bad network
    await bench.say("/imagine a fox")
    await bench.advance_time(4)

    assert bench.last_message.reply.tone is Tone.DONE


async def test_an_output_that_cannot_be_fetched_is_not_charged(bench: Bench) -> None:
    async def away(url: str | bytes, output: OutputKind = OutputKind.PICTURES, **_: object) -> KeptFile:
        raise BackendDown("What the model made could not be fetched. You were not charged.")

    bench.app.media.take_output = away  # type: ignore[method-assign,assignment]  # no network
    await bench.say("/imagine a fox")
    await bench.advance_time(90)

    assert bench.last_text == "⚠ What the model made could not be fetched. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000


async def test_the_real_cost_of_a_failed_run_alerts_the_owner(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, monthly_budget_usd=0.06)  # one SDXL run of 60 seconds is held: 58,500 micros
    bench.backend.will(error="out of memory", metrics=RunMetrics(predict_seconds=40.0))

    await bench.say("/imagine a fox --model sdxl")

    failure, alert = bench.platform.messages.values()
    assert failure.text == "⚠ The model failed: out of memory. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert alert.text.startswith("The bot's monthly budget is spent to 50 %: 39 of 60 credits.")
    await bench.close()


# The wrong kind, and too much.


@pytest.mark.parametrize(
    ("mime", "sentence"),
    [
        ("video/mp4", "The model gave a video instead of a picture. You were not charged."),
        ("audio/wav", "The model gave a sound instead of a picture. You were not charged."),
        ("image/svg+xml", "The model gave a file to download instead of a picture. You were not charged."),
    ],
)
async def test_a_file_of_another_kind_is_told_and_the_real_cost_counts(bench: Bench, mime: str, sentence: str) -> None:
    bench.backend.will(picture=SAMPLES[mime])

    await bench.say("/imagine a fox")

    assert bench.last_text == f"⚠ {sentence}"
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000
    assert await bench.list_open_holds() == []
    assert [path for path in (bench.app.settings.data_dir / "media").glob("*/*/*") if path.is_file()] == []


async def test_pictures_beside_a_file_of_another_kind_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = bench.app.media.take_output
    urls = [make_data_url(make_png()), make_data_url(SAMPLES["application/zip"])]

    async def take(_: str, output: OutputKind, **__: object) -> KeptFile:
        return await fetch(urls.pop(0), output)

    monkeypatch.setattr(bench.app.media, "take_output", take)
    await bench.say("/imagine a fox --count 2")

    assert len(bench.last_message.reply.pictures) == 1
    assert bench.last_text == "One more file was left out: of another kind."


async def test_more_pictures_than_a_message_shows_are_told(bench: Bench) -> None:
    bench.backend.will(pictures=15)

    await bench.say("/imagine a fox")

    assert len(bench.last_message.reply.pictures) == MAX_OUTPUT_FILES
    assert bench.last_text == "5 more files were left out: more than the 10 that I keep."
    assert bench.last_message.reply.tone is Tone.DONE


async def test_an_endless_answer_is_kept_up_to_the_bound(bench: Bench) -> None:
    bench.backend.will(words=("0123456789" * 10_000, "and more"))

    await bench.say("/chat Go on.")

    end = list(bench.platform.messages.values())[-1].text
    assert end.endswith("…\n\n8 more characters were left out: I keep at most 100,000.")
    assert bench.last_message.reply.tone is Tone.DONE


MUSIC_TOML = """
[tune]
title = "Tune"
task = "imagine"
ref = "ana/tune"
output = "audio"
price = { tiers = [{ per = "audio_output_count", usd = "0.02" }], source = "a test", read_on = 2026-12-01 }
max_seconds = 60
usual_seconds = 5
inputs = { prompt = "prompt", count = "count" }
"""


async def test_a_sound_is_kept_with_its_length_and_shown(tmp_path: Path) -> None:
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(MUSIC_TOML, encoding="utf-8")
    bench = await Bench.open(tmp_path, catalogue_path=catalogue)
    bench.backend.will(picture=make_wav(2))

    await bench.say("/imagine a sea shanty")

    [file] = bench.last_message.reply.result_files
    [output] = await bench.app.jobs.list_outputs(await bench.get_job())
    await bench.close()
    assert (file.name, file.kind, file.duration_seconds) == ("a-sea-shanty.wav", MediaKind.AUDIO, 2)
    assert bench.last_message.reply.pictures == ()
    assert bench.last_message.reply.note.startswith("Tune · 0:02 · ")
    assert [button.action for button in bench.last_message.reply.buttons] == ["again", "delete", "report"]
    assert (output.mime, output.duration_seconds) == ("audio/wav", 2)
    assert await asyncio.to_thread(wave.open, str(bench.app.media.find_path(file.sha256)))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (make_png(), "The model gave a picture instead of a sound. You were not charged."),
        (make_wav(0), "The model gave something that is not a sound I can read. You were not charged."),
    ],
    ids=["another kind", "silence without samples"],
)
async def test_a_model_of_sounds_that_gives_none_is_free(tmp_path: Path, made: bytes, sentence: str) -> None:
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(MUSIC_TOML, encoding="utf-8")
    bench = await Bench.open(tmp_path, catalogue_path=catalogue)
    bench.backend.will(picture=made)

    await bench.say("/imagine a sea shanty")

    text, balance, holds = bench.last_text, await bench.balance(), await bench.list_open_holds()
    await bench.close()
    assert text == f"⚠ {sentence}"
    assert balance == bench.starting_credits
    assert holds == []
