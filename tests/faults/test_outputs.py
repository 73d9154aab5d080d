"""Outputs that are gone, or come inside the reply."""

from tests.faults.town import FaultBench


async def test_an_output_that_is_gone_already_is_told_and_given_back(town: FaultBench) -> None:
    text = await town.run("/imagine a fox fault:expired")

    assert text == "⚠ What was made could not be fetched any more. You were not charged."
    assert await town.spent_micros() == 0
    assert len(town.predictions) == 1


async def test_an_output_inside_the_reply_is_kept_like_any_other(town: FaultBench) -> None:
    await town.run("/imagine a fox fault:inline --count 2")

    assert len(town.last.reply.pictures) == 2
    assert await town.spent_micros() == 6_000
