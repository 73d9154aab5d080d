"""Runs that fail, run late, or do not end."""

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
async def test_a_failed_run_is_told_in_words_and_costs_nothing(town: FaultBench, fault: str, words: str) -> None:
    text = await town.run(f"/imagine a fox fault:{fault}")

    assert text == f"⚠ {words}"
    assert town.last.reply.tone is Tone.ERROR
    assert "retry" in [button.action for button in town.last.reply.buttons]
    assert await town.spent_micros() == 0
    assert len(town.predictions) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("e003", "The model is in high demand right now. Try again in a minute."),
        ("e004", "The model is not available right now. Try again in a minute, or choose another one."),
    ],
)
async def test_high_demand_is_tried_once_more_before_it_is_told(town: FaultBench, fault: str, words: str) -> None:
    text = await town.run(f"/imagine a fox fault:{fault}")

    assert text == f"⚠ {words}"
    assert await town.spent_micros() == 0
    assert len(town.predictions) == 2


async def test_high_demand_that_passes_is_not_noticed(town: FaultBench) -> None:
    await town.ask("/imagine a fox --seed 7")
    await town.wait_until_done()
    town.sandbox.faults.arm(SandboxFault.parse("e003"))

    text = await town.run("/imagine an owl --seed 7")

    assert text == ""
    assert town.last.reply.pictures
    assert await town.spent_micros() == 2 * PICTURE
    assert [str(prediction.status) for prediction in town.predictions] == ["succeeded", "failed", "succeeded"]


async def test_a_cold_start_is_told_with_the_usual_time_and_then_delivered(town: FaultBench) -> None:
    await town.run("/imagine a fox fault:coldstart=50")

    starting = [progress for progress in town.progress if progress.stage is Stage.STARTING]
    assert starting
    assert all(progress.usual_seconds for progress in starting)
    assert town.last.reply.pictures
    assert await town.spent_micros() == PICTURE


async def test_a_cold_text_model_is_told_after_seconds(town: FaultBench) -> None:
    text = await town.run("/chat fault:coldstart=12 What is a budget?")

    starting = [progress for progress in town.progress if progress.stage is Stage.STARTING]
    assert starting
    assert min(progress.elapsed_seconds for progress in starting) <= 10
    assert text
    await town.spent_micros()


async def test_a_slow_run_is_waited_for(town: FaultBench) -> None:
    await town.run("/imagine a fox fault:slow=25")

    assert town.last.reply.pictures
    assert await town.spent_micros() == PICTURE


async def test_a_run_that_hangs_is_stopped_at_its_limit_and_told(town: FaultBench) -> None:
    text = await town.run("/imagine a fox fault:hang")

    assert text == "⚠ It ran longer than its limit of 60 seconds."
    assert [str(prediction.status) for prediction in town.predictions] == ["canceled"]
    run = town.predictions[0]
    assert run.started_at is not None
    assert run.completed_at is not None
    assert (run.completed_at - run.started_at).total_seconds() < 66  # though nobody looked for half a minute
    assert await town.spent_micros() == 0


async def test_a_run_that_hangs_can_be_stopped_by_who_asked(town: FaultBench) -> None:
    await town.ask("/imagine a fox fault:hang")
    await town.wait_until(lambda: bool(town.predictions) and str(town.predictions[0].status) == "processing")

    await town.press("cancel")
    await town.wait_until_done()

    assert town.last.text == "⏹ Stopped."
    assert [str(prediction.status) for prediction in town.predictions] == ["canceled"]
    assert await town.spent_micros() == 0


# MERGED Outputs that are gone, or come inside the reply.


async def test_an_output_that_is_gone_already_is_told_and_given_back(town: FaultBench) -> None:
    text = await town.run("/imagine a fox fault:expired")

    assert text == "⚠ What was made could not be fetched any more. You were not charged."
    assert await town.spent_micros() == 0
    assert len(town.predictions) == 1


async def test_an_output_inside_the_reply_is_kept_like_any_other(town: FaultBench) -> None:
    await town.run("/imagine a fox fault:inline --count 2")

    assert len(town.last.reply.pictures) == 2
    assert await town.spent_micros() == 6_000
