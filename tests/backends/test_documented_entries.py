"""The entries of docs/backends.md for Cog and A1111, as an owner copies them, under the whole bot."""

import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.jobs import JobState
from bot.core.replies import Tone
from tests.backends.conftest import require_package
from tests.backends.own_bench import OwnBench, open_own_bench
from tests.emulators.a1111.server import A1111Server
from tests.fakes.backend import make_png
from tests.servers.cog_server import serve

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"

WRITER = """
[backends.gpu]
kind = "cog"
url = "{url}"

[own-writer]
title = "Own writer"
task = "chat"
backend = "gpu"
ref = "writer"
output = "text_stream"
context_tokens = 4096
usual_seconds = 1
max_seconds = 60
fixed = {{ pause = {pause} }}
price = {{ tiers = [{{ per = "token_output_count", usd = "0.00005" }}], source = "a test", read_on = 2026-12-01 }}
inputs = {{ prompt = "prompt", max_tokens = {{ to = "max_tokens", minimum = 1, maximum = 2048 }} }}
"""


def read_entries(model: str) -> str:
    """Return the block of the page that has a model."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(str(block) for block in blocks if model in tomllib.loads(block))


@pytest.fixture
async def server() -> AsyncIterator[A1111Server]:
    async with A1111Server(login="ana:s3cret").serve() as server:
        yield server


@pytest.fixture
async def bench(server: A1111Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnBench]:
    monkeypatch.setenv("SD_LOGIN", "ana:s3cret")
    entries = read_entries("own-sd").replace("http://127.0.0.1:7860", server.url)
    async with open_own_bench(tmp_path, entries) as bench:
        yield bench


async def test_stable_diffusion_draws_as_the_options_say(server: A1111Server, bench: OwnBench) -> None:
    await bench.run("/imagine a fox --count 2 --aspect 16:9 --seed 7 --negative snow")

    body = server.runs[0].body
    assert bench.last.reply.tone is Tone.DONE
    assert len(bench.last.reply.pictures) == 2
    assert (body["width"], body["height"], body["seed"], body["negative_prompt"]) == (704, 384, 7, "snow")
    assert (body["steps"], body["sampler_name"]) == (25, "Euler a")


async def test_stable_diffusion_draws_over_a_picture(server: A1111Server, bench: OwnBench) -> None:
    await bench.run("/imagine in winter --strength 0.4", image=make_png(64, 48))

    assert bench.last.reply.tone is Tone.DONE
    assert (server.runs[0].route, server.runs[0].body["denoising_strength"]) == ("img2img", 0.4)


async def test_an_upscaler_enlarges(server: A1111Server, bench: OwnBench) -> None:
    await bench.run("/upscale --scale 3", image=make_png(20, 10))

    (picture,) = bench.last.reply.pictures
    assert (picture.width, picture.height) == (60, 30)


async def test_an_interrogator_captions(server: A1111Server, bench: OwnBench) -> None:
    assert "a picture of 20 by 10 pixels" in await bench.run("/caption", image=make_png(20, 10))


@pytest.mark.servers
@pytest.mark.parametrize("stops", [False, True])
async def test_a_cog_model_chats_and_stops_for_the_metered_tokens(
    tmp_path: Path, request: pytest.FixtureRequest, stops: bool
) -> None:
    require_package("cog", request.config)
    words = 300 if stops else 12
    (tmp_path / "cog").mkdir()
    async with serve(tmp_path / "cog", "writer.py:Writer") as server:
        catalogue = WRITER.format(url=server.url, pause=0.05 if stops else 0)
        async with open_own_bench(tmp_path, catalogue) as bench:
            assert await bench.ask("/chat " + " ".join(["fox"] * words)) is None
            if stops:
                await bench.wait_until(
                    lambda: any("fox" in message.text for message in bench.platform.messages.values())
                )
                await bench.press("cancel")
            await bench.wait_until_done()

            job = await bench.last_job()
            assert job.state is (JobState.CANCELLED if stops else JobState.DELIVERED)
            assert "fox" in bench.last.text
            tokens, rest = divmod(await bench.paid_micros(), 50)
            assert rest == 0
            assert 0 < tokens < words if stops else tokens > words
