"""A required picture that was left out is the last picture of the channel, on platforms that keep pictures in jobs."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from bot.core.people import Channel
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, get_text
from tests.media.test_heif import make_heic
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.platforms.web.web_bot import open_web_bot

NO_PICTURE = "That is a PDF, not a picture I can read: PNG, JPEG, WebP, GIF, AVIF or HEIC, please."
PDF = ("plan.pdf", "application/pdf", b"%PDF-1.7 a plan")
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


async def test_the_page_reads_a_phones_picture_and_names_a_pdf(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        answers: list[dict[str, Any]] = []
        for n, (name, mime, content) in enumerate(
            (("a.heic", "image/heic", make_heic()), ("a", "application/octet-stream", make_png()), PDF)
        ):
            form = aiohttp.FormData()
            ask = {"channel": "main", "text": "/caption", "request_id": f"upload-{n:08}"}
            form.add_field("ask", json.dumps(ask))
            form.add_field("image", content, filename=name, content_type=mime)
            address = f"{browser.address}/api/say"
            async with browser.session.post(address, data=form, headers=PAGE_HEADERS) as response:
                assert response.status == 200
            answers.append(await browser.wait_for_result(after=answers[-1]["id"] if answers else ""))

    assert [answer["text"] for answer in answers] == ["A short answer.", "A short answer.", NO_PICTURE]


async def test_the_page_takes_the_last_picture_too(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        drawn = await browser.ask("/imagine a fox")
        await browser.post("/api/say", {"text": "/caption"})
        caption = await browser.wait_for_result(after=drawn["id"])

    assert caption["text"] == "A short answer."


async def test_the_page_changes_its_last_picture_takes_the_change_back_and_shows_the_line(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        drawn = await browser.ask("/imagine a fox")
        bot.backend.will(picture=make_png(colour="white"))
        edited = await browser.ask("/edit make it winter")

        back = await browser.ask("Undo that!")
        line = await browser.ask(f"/show {edited['job']} --ancestors")

        # The download belongs to the message.
        shown = [[picture | {"download": ""} for picture in one["pictures"]] for one in (back, drawn)]
        assert shown[0] == shown[1] != []
        assert line["text"].splitlines()[1].startswith("2. /edit make it winter · ")
        async with browser.session.get(f"{browser.address}{line['pictures'][0]['url']}") as response:
            sheet = Image.open(io.BytesIO(await response.read()))
    assert sheet.size == (536, 272)
