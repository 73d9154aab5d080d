"""A model on several servers: the first answers, the next while it is away, refuses or is busy; the price follows."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.catalogue.loading import CatalogueError, load_catalogue
from bot.core.jobs import JobState
from bot.core.replies import Tone
from tests.backends.openai.catalogue import BY_TOKENS, FREE, make_backend, make_chat_model
from tests.backends.own_bench import open_own_bench
from tests.emulators.openai.server import Flavour, OpenAIServer, open_openai_server
from tests.ports import find_free_port

PAID_MICROS = 100


@pytest.fixture
async def home() -> AsyncIterator[OpenAIServer]:
    async with open_openai_server() as server:
        yield server


@pytest.fixture
async def cloud() -> AsyncIterator[OpenAIServer]:
    async with open_openai_server(Flavour.OLLAMA) as server:
        server.will(words=("From the cloud.",))
        yield server


def make_catalogue(home_url: str, cloud_url: str, *, usual_seconds: int = 2, cloud_at_once: int = 4) -> str:
    own = make_chat_model(FREE).replace('task = "chat"', 'task = "chat"\nfallbacks = ["rented"]')
    return (
        make_backend(home_url, at_once=1)
        + make_backend(cloud_url, name="cloud", at_once=cloud_at_once)
        + own.replace("usual_seconds = 2", f"usual_seconds = {usual_seconds}")
        + make_chat_model(BY_TOKENS, key="rented", backend="cloud")
    )


async def test_the_first_server_answers_while_it_can(tmp_path: Path, home: OpenAIServer, cloud: OpenAIServer) -> None:
    async with open_own_bench(tmp_path, make_catalogue(home.url, cloud.url)) as bench:
        assert await bench.run("/chat Hello") == "A short answer."
        assert "instead of" not in bench.last.reply.note
        assert await bench.paid_micros() == 0
    assert cloud.requests == []


async def test_the_next_server_answers_while_the_first_is_away(tmp_path: Path, cloud: OpenAIServer) -> None:
    away = f"http://127.0.0.1:{find_free_port()}/v1"
    async with open_own_bench(tmp_path, make_catalogue(away, cloud.url)) as bench:
        assert await bench.run("/chat Hello --temperature 0.5") == "From the cloud."
        assert "Rented" in bench.last.reply.note
        assert "instead of Talker" in bench.last.reply.note
        assert await bench.paid_micros() == PAID_MICROS
        job = await bench.last_job()
        assert (job.model, job.backend, job.state) == ("rented", "cloud", JobState.DELIVERED)
    (body,) = cloud.requests
    assert body["temperature"] == 0.5
    assert body["messages"][-1]["content"] == "Hello"


@pytest.mark.parametrize(
    "script",
    [
        {"status": 404, "error": "model not found"},
        {"status": 401, "error": "no key"},
        {"status": 429, "error": "slow down"},
        {"status": 500, "error": "CUDA out of memory"},
    ],
    ids=lambda script: script["status"],
)
async def test_a_server_that_refuses_passes_the_question_on(
    tmp_path: Path, home: OpenAIServer, cloud: OpenAIServer, script: dict[str, Any]
) -> None:
    home.will(**script)
    async with open_own_bench(tmp_path, make_catalogue(home.url, cloud.url)) as bench:
        assert await bench.run("/chat Hello") == "From the cloud."
        assert await bench.paid_micros() == PAID_MICROS
    assert (len(home.requests), len(cloud.requests)) == (1, 1)


@pytest.mark.parametrize(
    "script",
    [{"finish_reason": "content_filter", "words": ()}, {"breaks_after": 0}, {"breaks_after": 1}],
    ids=["refused as sensitive", "unclear", "broken in the middle"],
)
async def test_a_run_that_may_have_happened_is_not_repeated_elsewhere(
    tmp_path: Path, home: OpenAIServer, cloud: OpenAIServer, script: dict[str, Any]
) -> None:
    home.will(**script)
    async with open_own_bench(tmp_path, make_catalogue(home.url, cloud.url)) as bench:
        await bench.run("/chat Hello")

        assert bench.last.reply.tone is Tone.ERROR
        assert await bench.paid_micros() == 0
    assert cloud.requests == []


async def test_a_busy_server_leaves_the_question_to_the_next(
    tmp_path: Path, home: OpenAIServer, cloud: OpenAIServer
) -> None:
    home.will(hangs_after=0)
    async with open_own_bench(tmp_path, make_catalogue(home.url, cloud.url, usual_seconds=60)) as bench:
        await bench.ask("/chat A long story")
        await bench.wait_until(lambda: home.running == 1)
        services = bench.app.dispatcher.services
        talker = services.catalogue.get("talker")
        assert services.jobs.estimate_wait_seconds(talker) == 60
        await bench.ask("/chat A short question")
        await bench.wait_until(lambda: bench.last.text == "From the cloud.")

        assert "instead of Talker" in bench.last.reply.note
    assert (len(home.requests), len(cloud.requests)) == (1, 1)


async def test_a_moved_question_waits_for_a_place_at_the_next_server(
    tmp_path: Path, home: OpenAIServer, cloud: OpenAIServer
) -> None:
    home.will(status=404, error="model not found")
    cloud.will(hangs_after=1)
    async with open_own_bench(tmp_path, make_catalogue(home.url, cloud.url, cloud_at_once=1)) as bench:
        await bench.ask("/chat A long story --model rented")
        await bench.wait_until(lambda: bool(bench.platform.messages) and "From the cloud." in bench.last.text)
        story = bench.last
        cloud.will(hangs_after=None)
        await bench.ask("/chat A short question --model talker")
        services = bench.app.dispatcher.services
        rented = services.catalogue.get("rented")
        await bench.wait_until(lambda: services.jobs.estimate_wait_seconds(rented) == 2 * rented.usual_seconds)
        await bench.press("cancel", story)
        await bench.wait_until_done()

        assert bench.last.text == "From the cloud."
    assert (len(home.requests), len(cloud.requests), cloud.most_running) == (1, 2, 1)


async def test_without_the_means_for_the_next_server_nothing_is_held(tmp_path: Path, cloud: OpenAIServer) -> None:
    away = f"http://127.0.0.1:{find_free_port()}/v1"
    dear = make_catalogue(away, cloud.url).replace('usd = "2"', 'usd = "90"')
    async with open_own_bench(tmp_path, dear, changes={"daily_credits": 1}) as bench:
        text = await bench.run("/chat Hello")

        assert "The model server home cannot be reached" in text
        assert await bench.paid_micros() == 0
    assert cloud.requests == []


@pytest.mark.parametrize("fallbacks", ['["absent"]', '["talker"]', '["painter"]'])
def test_a_fallback_must_answer_in_the_same_way(tmp_path: Path, fallbacks: str) -> None:
    path = tmp_path / "models.toml"
    painter = make_chat_model(key="painter").replace('"text_stream"', '"text"')
    path.write_text(
        make_catalogue("http://a.test", "http://b.test").replace('["rented"]', fallbacks) + painter, encoding="utf-8"
    )

    with pytest.raises(CatalogueError, match="fallbacks names other models of chat"):
        load_catalogue(path)
