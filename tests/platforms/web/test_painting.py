"""Links to the painter of masks: one person, one picture, one use."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.people import Channel, User
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA
from tests.platforms.painter_link import PUBLIC_URL, PainterPage, find_token, open_painter_page

OVER = "This link was used already, or is more than 15 minutes old. Ask for a new one with /edit."
MASK = make_png(colour="white")


@pytest.fixture
async def painted_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(tmp_path / "painted", public_url=PUBLIC_URL, http_port=0)
    yield bench
    await bench.close()


@pytest.fixture
async def page(painted_bench: Bench) -> AsyncIterator[PainterPage]:
    async with open_painter_page(painted_bench.app) as page:
        yield page


async def ask_for_link(bench: Bench, line: str = "/edit a red hat --paint yes", **given: Any) -> str:
    """Ask for a link; return the token."""
    reply = await bench.say(line, image=make_png(), **given)
    assert reply is not None
    assert reply.is_private
    return find_token(reply.text)


async def test_a_painted_mask_runs_the_edit_where_it_was_asked(painted_bench: Bench, page: PainterPage) -> None:
    bench = painted_bench
    token = await ask_for_link(bench)
    assert await page.open(token) == (
        200,
        {
            "words": "a red hat",
            "model": "Stable Diffusion inpainting",
            "price": "about 7, at most 84 credits",
            "place": "this page",
        },
    )
    status, picture = await page.fetch_picture(token)
    assert (status, picture[:4]) == (200, b"\x89PNG")

    assert await page.send(token, MASK) == (200, {"error": ""})
    await bench.wait_until_idle()

    run, destination = bench.backend.last_run, bench.last_message.destination
    assert run.model.key == "sd-inpainting"
    assert run.inputs["prompt"] == "a red hat"
    assert run.inputs["mask"] != run.inputs["image"]
    assert (destination.user.id, destination.channel.id) == ("ana", "c1")
    assert await bench.balance() < bench.starting_credits


async def test_a_link_works_once_and_a_repeated_delivery_is_no_second_use(
    painted_bench: Bench, page: PainterPage
) -> None:
    token = await ask_for_link(painted_bench)
    both = await asyncio.gather(page.send(token, MASK, "delivery-1"), page.send(token, MASK, "delivery-2"))
    await painted_bench.wait_until_idle()
    winner = "delivery-1" if both[0][0] == 200 else "delivery-2"

    assert sorted(status for status, _ in both) == [200, 410]
    assert await page.send(token, MASK, winner) == (200, {"error": ""})
    assert await page.send(token, MASK, "delivery-3") == (410, {"error": OVER})
    assert (await page.open(token))[0] == (await page.fetch_picture(token))[0] == 410
    assert len(painted_bench.backend.runs) == 1


async def test_a_mask_of_another_size_is_refused_and_the_link_goes_on(painted_bench: Bench, page: PainterPage) -> None:
    token = await ask_for_link(painted_bench)

    status, answer = await page.send(token, make_png(16, 16, "white"))
    broken = await page.send(token, b"no picture", "delivery-2")

    assert (status, answer["error"][:35]) == (200, "The mask has 16 × 16 pixels and the")
    assert "not a picture I can read" in broken[1]["error"]
    assert await painted_bench.balance() == painted_bench.starting_credits
    assert await page.send(token, MASK, "delivery-3") == (200, {"error": ""})
    await painted_bench.wait_until_idle()
    assert len(painted_bench.backend.runs) == 1


async def test_an_old_link_ends_in_one_sentence(painted_bench: Bench, page: PainterPage) -> None:
    token = await ask_for_link(painted_bench)
    await painted_bench.advance_time(15 * 60)

    assert await page.open(token) == (410, {"error": OVER})
    assert await page.send(token, MASK) == (410, {"error": OVER})


async def test_a_link_survives_a_restart(painted_bench: Bench, tmp_path: Path) -> None:
    token = await ask_for_link(painted_bench)
    await painted_bench.close()

    again = await painted_bench.open_again(tmp_path / "painted", public_url=PUBLIC_URL, http_port=0)
    async with open_painter_page(again.app) as page:
        assert await page.send(token, MASK) == (200, {"error": ""})
        await again.wait_until_idle()

    assert again.backend.last_run.model.key == "sd-inpainting"
    await again.close()


async def test_guessed_links_are_refused_and_then_slowed_while_a_right_link_works(
    painted_bench: Bench, page: PainterPage
) -> None:
    token = await ask_for_link(painted_bench)
    guesses = [await page.open(f"{n:064x}") for n in range(12)]

    assert guesses[0] == (410, {"error": OVER})
    assert [status for status, _ in guesses[10:]] == [429, 429]
    assert (await page.open("../etc"))[0] == (await page.send("", MASK))[0] == 429
    assert await page.send(token, MASK) == (200, {"error": ""})


async def test_a_link_opens_nothing_but_its_own_picture(painted_bench: Bench, page: PainterPage) -> None:
    token = await ask_for_link(painted_bench)
    [file] = await painted_bench.app.media.list_files()

    for path in (f"/media/{file.sha256}", "/api/me", "/api/menu", f"/api/me?token={token}"):
        async with page.session.get(f"{page.address}{path}") as response:
            assert response.status == 401
            assert "Set-Cookie" not in response.headers
    async with page.session.get(f"{page.address}/paint") as response:
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
    assert (await page.post("/api/paint/open", {"token": token}, Origin="https://evil.example"))[0] == 403
    assert (await page.post("/api/paint/open", {"token": [token]}))[0] == 400


async def test_a_blocked_person_s_link_runs_nothing(painted_bench: Bench, page: PainterPage) -> None:
    token = await ask_for_link(painted_bench)
    await painted_bench.say("/block ana", by=User("web", "page", "owner", "The owner"))

    status, answer = await page.send(token, MASK)

    assert status == 200
    assert "block" in answer["error"]
    assert painted_bench.backend.runs == {}


@pytest.mark.parametrize(
    ("line", "channel", "sentence"),
    [
        ("/edit a hat --paint yes --model flux-kontext-pro", "c1", "FLUX Kontext pro does not take mask."),
        ("/edit a hat --paint yes --mask https://a.example/m.png", "c1", "Paint on one picture, without a mask"),
        ("/edit a hat --paint yes", "user-installs", "I can answer a painted mask only where I may post by myself"),
    ],
)
async def test_a_link_that_could_not_work_is_refused_before_painting(
    painted_bench: Bench, line: str, channel: str, sentence: str
) -> None:
    place = Channel("web", channel if channel == "user-installs" else "page", "c1")

    reply = await painted_bench.say(line, image=make_png(), channel=place, by=ANA)

    assert reply is not None
    assert sentence in reply.text
    assert not await painted_bench.app.media.list_files()


async def test_the_painter_is_offered_where_a_public_page_is(bench: Bench, painted_bench: Bench) -> None:
    without, offering = await bench.say("/help edit"), await painted_bench.say("/help edit")

    assert without is not None
    assert offering is not None
    assert "--paint`" not in without.text
    assert "--paint`" in offering.text
