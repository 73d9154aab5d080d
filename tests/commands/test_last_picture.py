"""A required picture that was left out is the last picture of the channel, on platforms that keep pictures in jobs."""

from dataclasses import replace
from pathlib import Path

from bot.core.people import Channel
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, get_text
from tests.platforms.web.web_bot import open_web_bot

MISSING = "image is missing: Which picture? Attach a file or give a link."


async def test_the_last_drawn_picture_is_captioned_by_other_people_too(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/chat hello")

    await bench.say("/caption", by=BEN)

    assert bench.backend.last_run.model.task == "caption"


async def test_the_last_given_picture_counts(bench: Bench) -> None:
    await bench.say("/caption", image=make_png(40, 30))

    await bench.say("/upscale")

    assert bench.backend.last_run.model.task == "upscale"


async def test_a_picture_of_another_channel_or_of_a_private_job_stays_there(bench: Bench) -> None:
    await bench.say("/imagine a fox", channel=Channel("web", "page", "elsewhere"))
    await bench.say("/imagine a fox", channel=replace(CHANNEL, thread="t1"))

    assert get_text(await bench.say("/caption", by=BEN)) == MISSING


async def test_an_optional_picture_stays_left_out(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    await bench.say("/imagine a badger")

    assert "image" not in bench.backend.last_run.inputs
    assert (await bench.get_job()).user == ANA


async def test_the_page_takes_the_last_picture_too(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        drawn = await browser.ask("/imagine a fox")
        await browser.post("/api/say", {"text": "/caption"})
        caption = await browser.wait_for_result(after=drawn["id"])

    assert caption["text"] == "A short answer."
