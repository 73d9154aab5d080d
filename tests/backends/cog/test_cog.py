"""Runs on Cog's own server: pictures, streams, failures, stops, a full server, a lost server."""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.backends.cog.backend import CogBackend
from bot.core.backend import (
    BackendConfig,
    BackendKind,
    InputFile,
    LostRuns,
    PredictionState,
    RunEnded,
    RunEvent,
    RunProgress,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.clock import SystemClock
from bot.core.errors import BackendBusy, BackendDown, InputRefused, RunLost
from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.models import FieldKind, InputRule, Model, OutputKind, Price, Task
from bot.media.fetching import decode_data_url
from tests.servers.cog_server import CogServer, serve

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

PAINTER = Model(
    key="own-painter",
    title="Own painter",
    task=Task.IMAGINE,
    backend="gpu",
    ref="painter",
    version="",
    output=OutputKind.PICTURES,
    price=Price(),
    max_seconds=60,
    usual_seconds=1,
    inputs={"prompt": InputRule("prompt"), "image": InputRule("image", is_file=True)},
)
WRITER = replace(PAINTER, key="own-writer", task=Task.CHAT, output=OutputKind.TEXT_STREAM)


def open_backend(server: CogServer, **changes: Any) -> CogBackend:
    return CogBackend(replace(BackendConfig("gpu", BackendKind.COG, server.url), **changes), SystemClock())


async def submit(backend: CogBackend, model: Model, **inputs: JSON) -> str:
    async with backend.slot_for_create():
        return await backend.submit(model, inputs, job="j1", run=new_id(), cancel_after_seconds=60)


async def follow(backend: CogBackend, model: Model, run: str) -> tuple[list[RunEvent], RunSnapshot]:
    """Return the events before the end, and the last snapshot."""
    events: list[RunEvent] = []
    async with aclosing(backend.watch(model, run)) as watching:
        async for event in watching:
            if isinstance(event, RunEnded):
                return events, event.snapshot
            events.append(event)
    raise AssertionError("the watch ended before the run")


async def run_once(backend: CogBackend, model: Model, **inputs: JSON) -> tuple[list[RunEvent], RunSnapshot]:
    return await follow(backend, model, await submit(backend, model, **inputs))


async def test_pictures_come_in_order_with_the_metered_time(painter: CogServer) -> None:
    backend = open_backend(painter)

    _, snapshot = await run_once(backend, PAINTER, prompt="a fox", seed=3, count=3)

    widths = [int.from_bytes(decode_data_url(str(file), 10_000)[0][16:20]) for file in snapshot.files]
    assert (snapshot.state, widths) == (PredictionState.SUCCEEDED, [64, 65, 66])
    assert snapshot.metrics.predict_seconds is not None
    await backend.close()


async def test_progress_is_seen_while_the_reply_is_out(painter: CogServer) -> None:
    backend = open_backend(painter)

    events, _ = await run_once(backend, PAINTER, prompt="a fox", seconds=1.6)

    percents = [event.percent for event in events if isinstance(event, RunProgress)]
    assert isinstance(events[0], RunStarted)
    assert percents == sorted(percents)
    assert percents[0] < 100
    await backend.close()


async def test_words_stream_and_the_tokens_are_metered(writer: CogServer) -> None:
    backend = open_backend(writer)

    events, snapshot = await run_once(backend, WRITER, prompt="a fox in the ☃", pause=0.02)

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", " fox", " in", " the", " ☃"]
    assert snapshot.text == "a fox in the ☃"
    assert dict(snapshot.metrics.amounts) == {"token_output_count": 5}
    await backend.close()


async def test_a_model_without_a_stream_answers_as_a_whole(painter: CogServer) -> None:
    backend = open_backend(painter)

    _, snapshot = await run_once(backend, replace(WRITER, output=OutputKind.TEXT), prompt="a fox")

    assert snapshot.state is PredictionState.SUCCEEDED
    await backend.close()


async def test_a_failed_picture_has_the_models_reason(painter: CogServer) -> None:
    backend = open_backend(painter)

    _, snapshot = await run_once(backend, PAINTER, prompt="fail: no paint left")

    assert snapshot.state is PredictionState.FAILED
    assert str(backend.explain(snapshot)) == "The model failed: no paint left."
    assert not backend.is_retryable(snapshot)
    await backend.close()


async def test_a_stream_that_fails_keeps_its_words(writer: CogServer) -> None:
    backend = open_backend(writer)

    _, snapshot = await run_once(backend, WRITER, prompt="a fox fail here")

    assert (snapshot.state, snapshot.text) == (PredictionState.FAILED, "a fox")
    assert "out of memory" in str(backend.explain(snapshot))
    await backend.close()


@pytest.mark.parametrize("kind", ["pictures", "words"])
async def test_a_stop_ends_the_run_at_once_and_meters_it(painter: CogServer, writer: CogServer, kind: str) -> None:
    server, model = (painter, PAINTER) if kind == "pictures" else (writer, WRITER)
    inputs: dict[str, JSON] = {"seconds": 50} if kind == "pictures" else {"pause": 5}
    backend = open_backend(server)
    run = await submit(backend, model, prompt="a fox in the snow", **inputs)

    cancelling = asyncio.create_task(backend.cancel(run))
    _, snapshot = await follow(backend, model, run)

    assert snapshot.state is PredictionState.CANCELED
    assert snapshot.metrics.predict_seconds is not None
    cancelling.cancel()
    await backend.cancel(run)  # harmless after the end
    await backend.close()


async def test_a_full_server_lets_the_next_run_wait(painter: CogServer) -> None:
    ours, stranger = open_backend(painter), open_backend(painter)
    await submit(stranger, PAINTER, prompt="a long one", seconds=1)

    with pytest.raises(BackendBusy):
        await ours.submit(PAINTER, {"prompt": "a fox"}, job="j1", run=new_id(), cancel_after_seconds=60)
    _, snapshot = await run_once(ours, PAINTER, prompt="a fox")

    assert snapshot.state is PredictionState.SUCCEEDED
    await ours.close()
    await stranger.close()


async def test_inputs_that_the_model_does_not_take_are_named(painter: CogServer) -> None:
    backend = open_backend(painter)

    with pytest.raises(InputRefused, match="count: 9 is greater than the maximum of 4"):
        await submit(backend, PAINTER, prompt="a fox", count=9)

    await backend.close()


async def test_words_never_reach_a_field_that_the_server_opens(painter: CogServer) -> None:
    backend = open_backend(painter)

    with pytest.raises(InputRefused, match="takes a file for image"):
        await backend.prepare(PAINTER, {"prompt": "a fox", "image": "/etc/hostname"})

    await backend.close()


async def test_a_given_picture_arrives_as_a_data_url(painter: CogServer, tmp_path: Path) -> None:
    backend = open_backend(painter)
    _, first = await run_once(backend, PAINTER, prompt="a fox", seed=9)
    content, mime = decode_data_url(str(first.files[0]), 10_000)
    path = tmp_path / "given"
    path.write_bytes(content)
    given = InputFile(hashlib.sha256(content).hexdigest(), mime, len(content), str(path))

    prepared = await backend.prepare(PAINTER, {"prompt": "turn it", "image": given})
    _, second = await run_once(backend, PAINTER, **prepared)

    assert second.files == first.files
    await backend.close()


async def test_a_closed_bot_leaves_no_run_and_the_next_runs_it_once_more(painter: CogServer) -> None:
    killed = open_backend(painter)
    run = await submit(killed, PAINTER, prompt="a fox", seconds=50)

    await killed.close()
    restarted = open_backend(painter)
    _, lost = await follow(restarted, PAINTER, run)
    _, again = await run_once(restarted, PAINTER, prompt="a fox")

    assert lost.state is PredictionState.FAILED
    assert restarted.is_retryable(lost)
    assert again.state is PredictionState.SUCCEEDED
    await restarted.close()


async def test_a_lost_run_of_a_paid_server_is_not_repeated(painter: CogServer) -> None:
    backend = open_backend(painter, lost_runs=LostRuns.CHARGE)

    with pytest.raises(RunLost):
        await follow(backend, PAINTER, "r1")

    assert not backend.finds_runs
    await backend.close()


async def test_the_same_create_again_takes_over_from_a_run_that_still_goes_on(painter: CogServer) -> None:
    """As after a broken connection: the server needs half a second to end the run of the same id."""
    backend, run = open_backend(painter), new_id()
    async with aiohttp.ClientSession() as session:
        body = {"id": run, "input": {"prompt": "old", "seconds": 1.0}}
        old = asyncio.create_task(session.put(f"{painter.url}/predictions/{run}", json=body))
        await asyncio.sleep(0.3)

        await backend.submit(PAINTER, {"prompt": "a fox", "count": 2}, job="j1", run=run, cancel_after_seconds=60)
        _, snapshot = await follow(backend, PAINTER, run)

        assert len(snapshot.files) == 2
        await (await old).release()
    await backend.close()


async def test_a_server_that_dies_in_the_middle_loses_the_run(tmp_path: Path) -> None:
    async with serve(tmp_path, "writer.py:Writer") as server:
        backend = open_backend(server)
        run = await submit(backend, WRITER, prompt="a fox in the snow", pause=1)
        await server.kill()

        events, snapshot = await follow(backend, WRITER, run)

        assert snapshot.state is PredictionState.FAILED
        assert backend.is_retryable(snapshot)
        with pytest.raises(BackendDown, match="gpu cannot be reached"):
            await submit(backend, WRITER, prompt="a fox")
        assert events
        await backend.close()


async def test_a_model_that_does_not_load_is_told(tmp_path: Path) -> None:
    async with serve(tmp_path, "broken.py:Broken") as server:
        backend = open_backend(server)

        with pytest.raises(BackendDown, match="could not load its model"):
            await submit(backend, WRITER, prompt="a fox")
        with pytest.raises(BackendDown, match="could not load its model"):
            await backend.probe()
        with pytest.raises(InputRefused, match="publishes no schema"):
            await backend.prepare(WRITER, {"prompt": "a fox"})

        await backend.close()


async def test_the_schema_is_read_like_replicates(painter: CogServer, writer: CogServer) -> None:
    backend, words = open_backend(painter), open_backend(writer)

    schema = await backend.get_schema("painter")

    image = schema.find_field("image")
    assert image is not None
    assert image.kinds == {FieldKind.FILE}
    assert (schema.output, (await words.get_schema("w")).output) == (OutputKind.PICTURES, OutputKind.TEXT_STREAM)
    assert await backend.probe() == "The model server gpu (Cog 0.23.1) is ready."
    await backend.close()
    await words.close()
