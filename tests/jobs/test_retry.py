"""Runs failed by high demand are retried once; other failures are shown at once."""

from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.jobs import JobState
from bot.core.replies import Stage, Tone
from tests.bench import Bench
from tests.fakes.backend import FLAGGED_ERROR, TRANSIENT_ERROR

SDXL = "/imagine a fox --model sdxl"
MICROS_OF_A_RUN = 1_463  # 1.5 s at 975 micros each, rounded up


async def test_high_demand_is_retried_and_the_user_pays_once(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR)
    await bench.say(SDXL)
    assert bench.last_message.reply.progress is not None
    assert bench.last_message.reply.progress.stage is Stage.QUEUED
    assert len(await bench.list_open_holds()) == 1
    bench.backend.will(error="")

    await bench.advance_time(6)

    assert len(bench.backend.runs) == 2
    assert bench.last_message.reply.tone is Tone.DONE
    assert bench.starting_credits - await bench.balance() == MICROS_OF_A_RUN
    assert await bench.get_bot_spent_micros() == 2 * MICROS_OF_A_RUN
    assert await bench.list_open_holds() == []


async def test_a_second_failure_is_shown_and_not_charged(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR)
    await bench.say(SDXL)

    await bench.advance_time(30)

    assert len(bench.backend.runs) == 2
    assert bench.last_message.reply.tone is Tone.ERROR
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 2 * MICROS_OF_A_RUN
    assert await bench.list_open_holds() == []


@pytest.mark.parametrize("error", [FLAGGED_ERROR, "out of memory"])
async def test_other_failures_are_not_retried(bench: Bench, error: str) -> None:
    bench.backend.will(error=error)
    await bench.say(SDXL)

    await bench.advance_time(30)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.ERROR


async def test_a_cancel_before_the_second_run_costs_nothing(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR, metrics=RunMetrics(predict_seconds=0))
    await bench.say(SDXL)

    await bench.press("cancel")

    assert len(bench.backend.runs) == 1
    assert bench.last_text == "⏹ Stopped."
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_text_of_the_first_run_is_not_mixed_with_the_second(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR, words=("A long beginning ", "of something."))
    await bench.say("/chat hello")
    bench.backend.will(error="", words=("Short.",))

    await bench.advance_time(6)

    assert bench.last_text == "Short."


async def test_a_crash_before_the_second_run_allows_no_third(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(error=TRANSIENT_ERROR)
    await first.say(SDXL)
    await first.close()

    second = await first.open_again(tmp_path)
    await second.advance_time(60)

    assert len(second.backend.runs) == 2
    assert (await second.get_job()).state is JobState.FAILED
    assert await second.balance() == second.starting_credits
    assert await second.list_open_holds() == []
    await second.close()
