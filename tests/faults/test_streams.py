"""Streams that break, lose, repeat and reorder events: the whole answer arrives."""

import pytest

from tests.faults.bench import FaultBench

QUESTION = "What is MONTHLY_BUDGET_USD for?"


def get_output(bench: FaultBench) -> str:
    """Return the model's whole output."""
    (prediction,) = bench.predictions
    return "".join(prediction.output)


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_the_whole_answer_arrives_and_is_paid_once(bench: FaultBench, fault: str) -> None:
    text = await bench.run(f"/chat fault:{fault} {QUESTION}")

    assert text.strip() == get_output(bench).strip()
    assert len(text) > 100
    assert 0 < await bench.spent_micros() < 1_000


@pytest.mark.parametrize("fault", ["cut", "stream-lost", "stream-doubled", "stream-reordered"])
async def test_a_picture_survives_a_broken_stream(bench: FaultBench, fault: str) -> None:
    # A single picture keeps the test short.
    await bench.run(f"/imagine a fox fault:{fault}")

    assert len(bench.last.reply.pictures) == 1
    assert await bench.spent_micros() == 3_000
    assert len(bench.predictions) == 1
