"""Summaries of conversations that outgrow the model: when, at what price, and after a stop, a failure and a kill."""

from pathlib import Path

import pytest

from bot.conversations.conversations import SUMMARY_REQUEST
from tests.bench import Bench
from tests.fakes.samples import BEN, MODERATOR, get_text

STORY = "An old story. " * 500  # about 2,300 tokens of the 8,192 of Llama 3 8B


@pytest.fixture
async def bench(llama_bench: Bench) -> Bench:
    """The bot with Llama 3 8B as the default, where conversations are summed up."""
    await llama_bench.say("/settings chat --summaries on", by=MODERATOR)
    return llama_bench


async def fill(bench: Bench) -> None:
    """Say so much that the next question needs a summary."""
    for n in range(2):
        await bench.say(f"/chat {n} {STORY}")


def list_words(bench: Bench) -> list[str]:
    return [run.words for run in bench.backend.runs.values()]


async def test_a_summary_stands_for_the_turns_before(bench: Bench) -> None:
    await fill(bench)
    bench.backend.answers = [("A summary of stories.",), ("A fox.",), ("Red.",)]

    await bench.say("/chat Who was it?", by=BEN)
    await bench.say("/chat And the colour?")

    summed_up, asked, later = list_words(bench)[2:]
    assert SUMMARY_REQUEST in summed_up
    assert summed_up.count("An old story.") == 2 * 500
    assert "Who was it?" not in summed_up
    for prompt in (asked, later):
        assert "An old story." not in prompt
        assert "A summary of stories." in prompt
    assert "Ben: Who was it?" in later
    summary, answer, _ = list(bench.platform.messages.values())[2:]
    assert summary.text == "A summary of stories."
    assert "a summary, since the conversation outgrows the model" in summary.reply.note
    assert summary.destination.user.id == BEN.id
    assert answer.text == "A fox."
    assert "no longer fit" not in answer.reply.note
    assert await bench.list_open_holds() == []


async def test_summaries_are_off_until_a_moderator_turns_them_on(llama_bench: Bench) -> None:
    shown = get_text(await llama_bench.say("/settings show", by=MODERATOR))
    await fill(llama_bench)

    await llama_bench.say("/chat Who was it?")
    priced = get_text(await llama_bench.say("/settings chat --summaries on", by=MODERATOR))

    assert "Conversations that outgrow the model**: lose their oldest messages" in shown
    assert len(llama_bench.backend.runs) == 3
    assert "are summed up for the asker, for up to about 0.5 credits each time with Llama 3 8B" in priced


async def test_a_stopped_summary_ends_the_chain_and_stands_for_nothing(bench: Bench) -> None:
    await fill(bench)
    bench.backend.will(hangs_after=1)
    await bench.say("/chat Who was it?")
    await bench.press("cancel")
    bench.backend.will(hangs_after=None)
    assert len(bench.backend.runs) == 3

    await bench.say("/settings chat --summaries off", by=MODERATOR)
    await bench.advance_time(2)
    await bench.say("/chat Who was it?")

    assert "An old story." in bench.backend.last_run.words


async def test_a_failed_summary_is_not_tried_again_for_the_question(bench: Bench) -> None:
    await fill(bench)
    bench.backend.will(error="boom", hangs_after=1)
    await bench.say("/chat Who was it?")
    broken = bench.backend.last_run
    bench.backend.will(error="", hangs_after=None)
    broken.released.set()
    await bench.wait_until_idle()

    assert len(bench.backend.runs) == 4
    assert "Who was it?" in bench.backend.last_run.words
    assert "An old story." in bench.backend.last_run.words


async def test_the_purse_lasts_for_summary_and_answer_or_nothing_is_spent(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=26)
    await bench.say("/settings chat --summaries on", by=MODERATOR)
    for n in range(2):
        await bench.say(f"/chat {n} {STORY} --model llama-3-70b")

    refusal = await bench.say("/chat Who was it?")
    assert "credits short" in get_text(refusal)
    assert len(bench.backend.runs) == 2
    await bench.say("/settings chat --summaries off", by=MODERATOR)
    await bench.advance_time(2)

    assert await bench.say("/chat Who was it?") is None
    await bench.close()


async def test_a_summary_leads_on_in_the_next_process(bench: Bench, tmp_path: Path) -> None:
    await fill(bench)
    bench.backend.will(hangs_after=1)
    await bench.say("/chat Who was it?")
    bench.app.jobs.is_accepting = False
    bench.backend.will(hangs_after=None)
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    assert len(bench.backend.runs) == 3
    await bench.close()

    again = await bench.open_again(tmp_path, catalogue_path=bench.app.settings.catalogue_path)
    await again.wait_until_idle()

    assert "Who was it?" in again.backend.last_run.words
    assert "An old story." not in again.backend.last_run.words
    assert await again.list_open_holds() == []
    await again.close()
