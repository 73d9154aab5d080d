"""The final message reaches the user, or waits for `/show`."""

import sqlite3
from functools import partial
from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.storage.database import Database
from tests.bench import Bench


async def test_a_failed_final_edit_is_retried(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    bench.platform.will_fail(ConnectionError("cut"), ConnectionError("cut"))

    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    await bench.advance_time(5)

    assert bench.last_message.reply.tone is Tone.DONE
    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_an_undeliverable_result_is_kept_for_show(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    bench.platform.will_lose(bench.last_message.ref.id)

    bench.backend.last_run.released.set()
    await bench.wait_until_idle()

    job = await bench.get_job()
    assert job.state is JobState.UNDELIVERABLE
    assert await bench.balance() == bench.starting_credits - 3_000
    shown = await bench.say(f"/show {job.id}")
    assert shown is not None
    assert len(shown.pictures) == 1


async def test_a_platform_that_always_fails_makes_the_job_undeliverable(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    bench.platform.will_fail(*[ConnectionError("cut")] * 50)

    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    await bench.advance_time(30)

    assert (await bench.get_job()).state is JobState.UNDELIVERABLE
    assert await bench.list_open_holds() == []


async def test_a_job_without_a_placeholder_costs_nothing(bench: Bench) -> None:
    bench.platform.will_lose()

    await bench.say("/imagine a fox")

    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_a_run_beyond_its_time_limit_is_cancelled_and_charged_as_metered(bench: Bench) -> None:
    bench.backend.will(hangs_after=0, metrics=RunMetrics(predict_seconds=60.0))
    await bench.say("/imagine a fox --model sdxl")

    await bench.advance_time(62)

    assert bench.backend.cancelled == [bench.backend.last_run.id]
    assert bench.last_text == "⚠ It ran longer than its limit of 60 seconds."
    assert await bench.balance() == bench.starting_credits - 58_500


async def test_the_elapsed_time_is_refreshed_without_events(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    await bench.advance_time(10)

    seconds = [reply.progress.elapsed_seconds for reply in bench.last_message.history if reply.progress]
    assert seconds[-1] == 9
    assert bench.last_message.reply.progress is not None
    assert bench.last_message.reply.progress.usual_seconds == 2


async def test_the_usual_time_of_a_model_is_learnt(bench: Bench) -> None:
    bench.backend.will(metrics=RunMetrics(predict_seconds=20.0))
    await bench.say("/imagine a fox --model sdxl")
    await bench.clock.advance(61)

    await bench.say("/imagine a fox --model sdxl --count 2")

    assert bench.last_message.history[0].note == "SDXL · about 19.5, at most 58.5 credits"


async def test_a_locked_database_rejects_a_request_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.Database", partial(Database, timeout_seconds=0.1))
    bench = await Bench.open(tmp_path)
    other = sqlite3.connect(tmp_path / "easel.db")
    other.execute("BEGIN IMMEDIATE")

    reply = await bench.say("/imagine a fox")

    assert reply is not None
    assert "please try again in a moment" in reply.text
    assert bench.platform.messages == {}
    other.rollback()
    assert await bench.balance() == bench.starting_credits
    other.close()
    await bench.close()


async def test_a_database_locked_during_a_job_only_delays_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.Database", partial(Database, timeout_seconds=0.05))
    bench = await Bench.open(tmp_path)
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    other = sqlite3.connect(tmp_path / "easel.db")
    other.execute("BEGIN IMMEDIATE")
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    meanwhile = bench.last_message.reply.tone

    other.rollback()
    other.close()
    await bench.advance_time(2)

    assert (meanwhile, bench.last_message.reply.tone) == (Tone.WORKING, Tone.DONE)
    assert await bench.balance() == bench.starting_credits - 3_000
    await bench.close()


async def test_an_internal_error_shows_a_reference_and_releases_the_hold(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> dict[str, object]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bench.backend, "prepare", broken)

    await bench.say("/imagine a fox")

    reference = bench.last_text.rpartition(" ")[2]
    assert bench.last_text.startswith("⚠ Something broke on our side. You were not charged.")
    assert any(getattr(record, "reference", "") == reference for record in caplog.records)
    assert await bench.balance() == bench.starting_credits


async def test_a_backend_away_during_a_run_loses_nothing(bench: Bench) -> None:
    from bot.core.errors import BackendDown

    bench.backend.watch_errors = [BackendDown("away"), BackendDown("away")]

    await bench.say("/imagine a fox")
    await bench.advance_time(5)

    assert bench.last_message.reply.tone is Tone.DONE
    assert len(bench.backend.runs) == 1
