"""Streams that break, lose, repeat and mix up: the whole answer reaches the person all the same."""

import pytest

from tests.faults.bench import FaultBench

QUESTION = "What is MONTHLY_BUDGET_USD for?"


def whole(bench: FaultBench) -> str:
    """What the model really said."""
    (prediction,) = bench.predictions
    return "".join(prediction.output)


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_the_whole_answer_arrives_and_is_paid_once(bench: FaultBench, fault: str) -> None:
    text = await bench.run(f"/chat fault:{fault} {QUESTION}")

    assert text.strip() == whole(bench).strip()
    assert len(text) > 100
    assert 0 < await bench.spent_micros() < 1_000


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_a_picture_does_not_mind(bench: FaultBench, fault: str) -> None:
    # One alone: on the bench's fast clock the painter must be done within a model's limit, also on a busy machine.
    await bench.run(f"/imagine a fox fault:{fault}")

    assert len(bench.last.reply.pictures) == 1
    assert await bench.spent_micros() == 3_000
    assert len(bench.predictions) == 1
