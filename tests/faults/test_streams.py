"""Streams that break, lose, repeat and mix up: the whole answer reaches the person all the same."""

import pytest

from tests.faults.bench import FaultBench

QUESTION = "What is MONTHLY_BUDGET_USD for?"


def whole(town: FaultBench) -> str:
    """What the model really said."""
    (prediction,) = town.predictions
    return "".join(prediction.output)


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_the_whole_answer_arrives_and_is_paid_once(town: FaultBench, fault: str) -> None:
    text = await town.run(f"/chat fault:{fault} {QUESTION}")

    assert text.strip() == whole(town).strip()
    assert len(text) > 100
    assert 0 < await town.spent_micros() < 1_000


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_a_picture_does_not_mind(town: FaultBench, fault: str) -> None:
    # One alone: on the town's fast clock the painter must be done within a model's limit, also on a busy machine.
    await town.run(f"/imagine a fox fault:{fault}")

    assert len(town.last.reply.pictures) == 1
    assert await town.spent_micros() == 3_000
    assert len(town.predictions) == 1
