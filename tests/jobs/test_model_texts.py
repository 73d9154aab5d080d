"""Odd texts of models: nothing, thoughts, halves of characters; at the bench and on each platform."""

from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.models import Metric
from bot.core.replies import Tone
from tests.bench import Bench
from tests.platforms.discord.town import is_done, open_town
from tests.platforms.slack.office import create_office
from tests.platforms.web.web_bot import open_web_bot

NO_ANSWER = "The model gave no answer. You were not charged."
ONLY_THOUGHTS = "The model gave only thoughts and no answer. You were not charged."
METERED = RunMetrics(2.0, amounts={Metric.TOKEN_INPUT_COUNT: 4_000, Metric.TOKEN_OUTPUT_COUNT: 4_000})
THINKING = (
    "<th",
    "ink>A secret. <thi",
    "nk>Deep.</think>",
    " More.</thi",
    "nk>\n\n",
    "A fox ",
    "\ud83d",
    "\ude00",
    " is red.",
)
ANSWER = "A fox 😀 is red."

# slack_sdk 3.47 signs its exchange of codes with aiohttp's deprecated BasicAuth.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), NO_ANSWER),
        (("", ""), NO_ANSWER),
        ((" ", "\n"), NO_ANSWER),
        (("\u200b", "\ufeff"), NO_ANSWER),
        (("```python\n", "```"), NO_ANSWER),
        (("<think>", "Hm.", "</think>", "\n"), ONLY_THOUGHTS),
        (("<think>", "Hm."), ONLY_THOUGHTS),
    ],
)
async def test_an_answer_of_nothing_is_told_and_not_charged(
    bench: Bench, words: tuple[str, ...], sentence: str
) -> None:
    bench.backend.will(words=words, metrics=METERED)

    await bench.say("/chat What colour is a fox?")

    assert bench.last_text == f"⚠ {sentence}"
    assert bench.last_message.reply.tone is Tone.ERROR
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 1_800  # what the owner pays for 4,000 tokens in and out
    assert await bench.list_open_holds() == []


async def test_thoughts_and_halves_of_characters_are_never_shown(bench: Bench) -> None:
    bench.backend.will(words=THINKING)

    await bench.say("/chat What colour is a fox?")

    assert bench.last_text == ANSWER
    shown = "".join(reply.text for reply in bench.last_message.history)
    assert "secret" not in shown
    assert "think" not in shown
    assert "\ufffd" not in shown


async def test_thoughts_are_not_sent_back(bench: Bench) -> None:
    bench.backend.will(words=THINKING)
    await bench.say("/chat What colour is a fox?")

    await bench.say("/chat And an owl?")

    prompt = str(bench.backend.last_run.inputs["messages"])
    assert ANSWER in prompt
    assert "secret" not in prompt
    assert "think" not in prompt


async def test_a_stopped_thought_leaves_no_thought(bench: Bench) -> None:
    bench.backend.will(words=("<think>A secret.", " More."), hangs_after=2)
    await bench.say("/chat What colour is a fox?")

    assert bench.last_text == ""

    await bench.press("cancel")

    assert bench.last_text == "⏹ Stopped."


async def test_the_time_goes_on_while_a_model_thinks(bench: Bench) -> None:
    bench.backend.will(words=("<think>A secret.",), hangs_after=1)
    await bench.say("/chat What colour is a fox?")

    await bench.advance_time(9)

    progress = bench.last_message.reply.progress
    assert progress is not None
    assert progress.elapsed_seconds == 9
    assert bench.last_text == ""


async def test_thoughts_that_the_stream_did_not_mark_are_taken_back(bench: Bench) -> None:
    bench.backend.will(words=("A secret.", "\n</think>\n\n", "A fox is red."))

    await bench.say("/chat What colour is a fox?")

    assert bench.last_text == "A fox is red."


# On each platform.


@pytest.mark.parametrize(
    ("words", "shown"), [(THINKING, ANSWER), (("<think>A secret.", "</think>\u200b"), ONLY_THOUGHTS)]
)
async def test_discord_shows_the_answer_alone(tmp_path: Path, words: tuple[str, ...], shown: str) -> None:
    async with open_town(tmp_path) as town:
        town.backend.will(words=words)

        interaction = await town.ana.use_command("chat", {"message": "What colour is a fox?"})
        message = await (await interaction.wait_for_message()).wait_until(is_done)

        assert shown in message.text
        assert "secret" not in message.text
        assert "\ufffd" not in message.text


@pytest.mark.parametrize(
    ("words", "shown"), [(THINKING, ANSWER), (("<think>A secret.", "</think>\u200b"), ONLY_THOUGHTS)]
)
async def test_slack_shows_the_answer_alone(tmp_path: Path, words: tuple[str, ...], shown: str) -> None:
    office = await (await create_office(tmp_path)).open()
    office.backend.will(words=words)

    await office.ana.use_command("/chat", "What colour is a fox?", office.general)
    root = await office.general.wait_for_bot_message("asked:")
    thread = office.general.get_thread(root)
    message = await thread.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels)

    assert shown in message.visible_text
    assert "secret" not in message.visible_text
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


@pytest.mark.parametrize(
    ("words", "shown"), [(THINKING, ANSWER), (("<think>A secret.", "</think>\u200b"), ONLY_THOUGHTS)]
)
async def test_the_page_shows_the_answer_alone(tmp_path: Path, words: tuple[str, ...], shown: str) -> None:
    async with open_web_bot(tmp_path) as bot:
        ana = await bot.invite("Ana")
        bot.backend.will(words=words)

        result = await ana.ask("/chat What colour is a fox?")

        assert str(result["text"]).removeprefix("⚠ ") == shown
