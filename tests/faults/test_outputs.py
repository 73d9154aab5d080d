"""Outputs that are gone, or come inside the reply."""

from tests.faults.town import Town


async def test_an_output_that_is_gone_already_is_told_and_given_back(town: Town) -> None:
    text = await town.run("/imagine a fox fault:expired")

    assert text == "⚠ What was made could not be fetched any more. You were not charged."
    assert await town.spent() == 0
    assert len(town.made) == 1


async def test_an_output_inside_the_reply_is_kept_like_any_other(town: Town) -> None:
    await town.run("/imagine a fox fault:inline --count 2")

    assert len(town.last.reply.pictures) == 2
    assert await town.spent() == 6_000
