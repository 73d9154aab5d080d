"""/caption: descriptions, answers about a picture, and the text in a picture, at the bench."""

import pytest

from bot.core.models import Task
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.samples import MODERATOR, get_text

READING = "Write down all text in this picture, word for word, and nothing else."


async def test_a_picture_is_described_or_asked_about(bench: Bench) -> None:
    await bench.say("/caption", image=make_png())
    described = bench.backend.last_run.inputs["prompt"]
    await bench.say("/caption Is it red?", image=make_png())

    assert described == "Describe this picture in two sentences."
    assert bench.backend.last_run.inputs["prompt"] == "Is it red?"


@pytest.mark.parametrize("preferred", ["gpt-5-nano-caption", "blip"])
async def test_text_is_read_by_a_model_that_reads(bench: Bench, preferred: str) -> None:
    await bench.say(f"/settings model --task caption --model {preferred}", by=MODERATOR)

    await bench.say("/caption --read_text yes", image=make_png())

    assert bench.backend.last_run.model.key == "gpt-5-nano-caption"
    assert bench.backend.last_run.inputs["prompt"] == READING
    assert bench.last_text == "A short answer."


async def test_a_model_for_text_alone_gets_the_picture_alone(bench: Bench) -> None:
    await bench.say("/caption --read_text yes --model text-extract-ocr", image=make_png())

    assert set(bench.backend.last_run.inputs) == {"image"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/caption Is it red? --read_text yes", "Ask a question, or have the text read: not both at once."),
        (
            "/caption --read_text yes --model blip",
            "BLIP does not take read_text. Try gpt-5-nano-caption or moondream2 or text-extract-ocr.",
        ),
    ],
)
async def test_a_reading_that_cannot_be_is_refused(bench: Bench, line: str, sentence: str) -> None:
    assert get_text(await bench.say(line, image=make_png())) == sentence
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits


async def test_again_reads_again(bench: Bench) -> None:
    await bench.say("/caption --read_text yes", image=make_png())

    await bench.press("again")

    assert [run.model.task for run in bench.backend.runs.values()] == [Task.CAPTION] * 2
    assert bench.backend.last_run.inputs["prompt"] == READING
