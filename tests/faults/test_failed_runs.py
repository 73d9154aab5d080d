"""Runs that fail, start late, hang, or lose their outputs."""

import pytest

from bot.core.replies import Stage, Tone
from bot.sandbox.faults import SandboxFault
from tests.faults.bench import FaultBench

PICTURE = 3_000
"""Micros of one picture by flux-schnell."""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nsfw", "The model refused this as sensitive. Try other words or another picture."),
        ("e005", "The model refused this as sensitive. Try other words or another picture."),
        ("fail", "The model failed: deliberate failure: the sandbox was asked to fail."),
        ("oom", "The model failed: out of memory. Try a smaller picture, or fewer at once."),
        ("setup", "The model did not start: its maker has to mend it. Choose another model."),
        ("e001", "The maker of this model cannot run it right now. Choose another model."),
        ("e002", "The maker of this model cannot run it right now. Choose another model."),
    ],
)
async def test_a_failed_run_has_a_plain_sentence_and_costs_nothing(bench: FaultBench, fault: str, words: str) -> None:
    text = await bench.run(f"/imagine a fox fault:{fault}")

    assert text == f"⚠ {words}"
    assert bench.last.reply.tone is Tone.ERROR
    assert "retry" in [button.action for button in bench.last.reply.buttons]
    assert await bench.spent_micros() == 0
    assert len(bench.predictions) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("e003", "The model is in high demand right now. Try again in a minute."),
        ("e004", "The model is not available right now. Try again in a minute, or choose another one."),
    ],
)
async def test_high_demand_is_tried_once_more_before_the_job_fails(bench: FaultBench, fault: str, words: str) -> None:
    text = await bench.run(f"/imagine a fox fault:{fault}")

    assert text == f"⚠ {words}"
    assert await bench.spent_micros() == 0
    assert len(bench.predictions) == 2


async def test_high_demand_that_passes_is_not_shown(bench: FaultBench) -> None:
    await bench.ask("/imagine a fox --seed 7")
    await bench.wait_until_done()
    bench.sandbox.faults.arm(SandboxFault.parse("e003"))

    text = await bench.run("/imagine an owl --seed 7")

    assert text == ""
    assert bench.last.reply.pictures
    assert await bench.spent_micros() == 2 * PICTURE
    assert [str(prediction.status) for prediction in bench.predictions] == ["succeeded", "failed", "succeeded"]


async def test_a_cold_start_is_shown_with_the_usual_time_and_then_delivered(bench: FaultBench) -> None:
    await bench.run("/imagine a fox fault:coldstart=50")

    starting = [progress for progress in bench.progress if progress.stage is Stage.STARTING]
    assert starting
    assert all(progress.usual_seconds for progress in starting)
    assert bench.last.reply.pictures
    assert await bench.spent_micros() == PICTURE


async def test_a_cold_text_model_is_shown_within_seconds(bench: FaultBench) -> None:
    text = await bench.run("/chat fault:coldstart=12 What is a budget?")

    starting = [progress for progress in bench.progress if progress.stage is Stage.STARTING]
    assert starting
    assert min(progress.elapsed_seconds for progress in starting) <= 10
    assert text
    await bench.spent_micros()


async def test_a_slow_run_is_waited_for(bench: FaultBench) -> None:
    await bench.run("/imagine a fox fault:slow=25")

    assert bench.last.reply.pictures
    assert await bench.spent_micros() == PICTURE


async def test_a_hanging_run_is_stopped_at_its_limit(bench: FaultBench) -> None:
    text = await bench.run("/imagine a fox fault:hang")

    assert text == "⚠ It ran longer than its limit of 60 seconds."
    assert [str(prediction.status) for prediction in bench.predictions] == ["canceled"]
    run = bench.predictions[0]
    assert run.started_at is not None
    assert run.completed_at is not None
    assert (run.completed_at - run.started_at).total_seconds() < 66  # although the next poll was half a minute away
    assert await bench.spent_micros() == 0


async def test_a_hanging_run_can_be_stopped_by_its_user(bench: FaultBench) -> None:
    await bench.ask("/imagine a fox fault:hang")
    await bench.wait_until(lambda: bool(bench.predictions) and str(bench.predictions[0].status) == "processing")

    await bench.press("cancel")
    await bench.wait_until_done()

    assert bench.last.text == "⏹ Stopped."
    assert [str(prediction.status) for prediction in bench.predictions] == ["canceled"]
    assert await bench.spent_micros() == 0


async def test_a_missing_output_fails_the_job_and_refunds_the_credits(bench: FaultBench) -> None:
    text = await bench.run("/imagine a fox fault:expired")

    assert text == "⚠ What was made could not be fetched any more. You were not charged."
    assert await bench.spent_micros() == 0
    assert len(bench.predictions) == 1


async def test_an_output_inside_the_reply_is_kept_like_any_other(bench: FaultBench) -> None:
    await bench.run("/imagine a fox fault:inline --count 2")

    assert len(bench.last.reply.pictures) == 2
    assert await bench.spent_micros() == 6_000
