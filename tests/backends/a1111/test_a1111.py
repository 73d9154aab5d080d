"""Runs on a server with A1111's API: pictures, upscales, captions, progress, stops, refusals, sd.cpp's differences."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.backends.a1111.backend import A1111Backend
from bot.core.backend import (
    BackendConfig,
    BackendKind,
    InputFile,
    PredictionState,
    RunEnded,
    RunEvent,
    RunPending,
    RunPreview,
    RunProgress,
    RunSnapshot,
    RunStarted,
)
from bot.core.clock import SystemClock
from bot.core.errors import BackendDown, BackendError, BackendRefusedToken, InputRefused, PredictionGone, RunLost
from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.models import InputRule, Model, OutputKind, Price, Task
from tests.backends.clock import wait_until
from tests.emulators.a1111.server import CHECKPOINTS, A1111Flavour, A1111Server

PAINTER = Model(
    key="own-painter",
    title="Own painter",
    task=Task.IMAGINE,
    backend="sd",
    ref=CHECKPOINTS[0],
    version="",
    output=OutputKind.PICTURES,
    price=Price(),
    max_seconds=60,
    usual_seconds=1,
    inputs={"prompt": InputRule("prompt"), "image": InputRule("init_images", is_file=True)},
)
UPSCALER = replace(PAINTER, task=Task.UPSCALE, ref="R-ESRGAN 4x+")
CAPTIONER = replace(PAINTER, task=Task.CAPTION, ref="clip", output=OutputKind.TEXT)


@pytest.fixture
async def server() -> AsyncIterator[A1111Server]:
    async with A1111Server().serve() as server:
        yield server


def open_backend(server: A1111Server, **changes: Any) -> A1111Backend:
    config = BackendConfig("sd", BackendKind.A1111, server.url, at_once=1)
    return A1111Backend(replace(config, **changes), SystemClock())


async def submit(backend: A1111Backend, model: Model = PAINTER, **inputs: Any) -> str:
    prepared = await backend.prepare(model, inputs)
    async with backend.slot_for_create():
        return await backend.submit(model, prepared, job="j1", run=new_id(), cancel_after_seconds=60)


async def follow(backend: A1111Backend, run: str) -> tuple[list[RunEvent], RunSnapshot]:
    """Return the events before the end, and the last snapshot."""
    events: list[RunEvent] = []
    async with aclosing(backend.watch(PAINTER, run)) as watching:
        async for event in watching:
            if isinstance(event, RunEnded):
                return events, event.snapshot
            events.append(event)
    raise AssertionError("the watch ended before the run")


async def run_once(backend: A1111Backend, model: Model = PAINTER, **inputs: Any) -> RunSnapshot:
    _, snapshot = await follow(backend, await submit(backend, model, **inputs))
    await backend.close()
    return snapshot


async def fail(backend: A1111Backend, **inputs: Any) -> BackendError:
    """Return the error of a run, which the server refuses at once or a moment later."""
    try:
        _, snapshot = await follow(backend, await submit(backend, **inputs))
    except BackendError as error:
        return error
    return backend.explain(snapshot)


def make_picture(folder: Path, width: int = 20, height: int = 10) -> InputFile:
    content = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(content, "PNG")
    path = folder / f"{width}x{height}"
    path.write_bytes(content.getvalue())
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    return InputFile(sha256, "image/png", len(content.getvalue()), str(path))


def measure(file: str | bytes) -> tuple[int, int]:
    assert isinstance(file, bytes)
    with Image.open(io.BytesIO(file)) as picture:
        return picture.size


async def test_words_become_pictures_of_the_named_checkpoint(server: A1111Server) -> None:
    snapshot = await run_once(open_backend(server), replace(PAINTER, ref="sdxl/base.safetensors"), prompt="a fox")

    assert (snapshot.state, [measure(file) for file in snapshot.files]) == (PredictionState.SUCCEEDED, [(512, 512)])
    assert server.runs[0].body["checkpoint_used"] == CHECKPOINTS[1]
    assert snapshot.metrics.predict_seconds is not None


async def test_a_grid_before_the_pictures_is_left_out(server: A1111Server) -> None:
    server.gives_grids = True

    snapshot = await run_once(open_backend(server), prompt="a fox", batch_size=2, width=64, height=32)

    assert [measure(file) for file in snapshot.files] == [(64, 32), (64, 32)]


async def test_a_given_picture_is_drawn_over_and_a_mask_goes_along(server: A1111Server, tmp_path: Path) -> None:
    given = make_picture(tmp_path)

    snapshot = await run_once(open_backend(server), prompt="winter", init_images=given, mask=given)

    assert server.runs[0].route == "img2img"
    assert [measure(file) for file in snapshot.files] == [(20, 10)]


async def test_a_picture_is_enlarged(server: A1111Server, tmp_path: Path) -> None:
    snapshot = await run_once(open_backend(server), UPSCALER, image=make_picture(tmp_path), upscaling_resize=3)

    assert [measure(file) for file in snapshot.files] == [(60, 30)]


async def test_a_picture_gets_a_caption(server: A1111Server, tmp_path: Path) -> None:
    snapshot = await run_once(open_backend(server), CAPTIONER, image=make_picture(tmp_path))

    assert (snapshot.text, snapshot.files) == ("a picture of 20 by 10 pixels", ())


@pytest.mark.parametrize("flavour", [A1111Flavour.A1111, A1111Flavour.FORGE])
async def test_a_sole_client_sees_progress_and_stops_its_run(flavour: A1111Flavour) -> None:
    async with A1111Server(flavour).serve() as server:
        server.holds_runs = True
        backend = open_backend(server)
        run = await submit(backend, prompt="a fox", steps=10)
        seen: list[RunEvent] = []

        async with aclosing(backend.watch(PAINTER, run)) as watching:
            async for event in watching:
                seen.append(event)
                if any(isinstance(one, RunPreview) for one in seen):
                    break
        cancelling = asyncio.create_task(backend.cancel(run))
        _, snapshot = await follow(backend, run)

        assert [type(event) for event in seen] == [RunStarted, RunProgress, RunPreview]
        assert snapshot.state is PredictionState.CANCELED
        assert server.runs[0].is_interrupted
        cancelling.cancel()
        await backend.close()


async def test_an_upscale_is_stopped_before_its_first_step(server: A1111Server, tmp_path: Path) -> None:
    server.holds_runs = True
    backend = open_backend(server)
    run = await submit(backend, UPSCALER, image=make_picture(tmp_path))
    await wait_until(lambda: server.is_working)

    cancelling = asyncio.create_task(backend.cancel(run))
    _, snapshot = await follow(backend, run)

    assert snapshot.state is PredictionState.CANCELED
    assert server.runs[0].is_interrupted
    cancelling.cancel()
    await backend.close()


async def test_a_stop_before_the_run_begins_stops_the_run_when_it_begins(server: A1111Server) -> None:
    server.loaded.clear()
    server.holds_runs = True
    backend = open_backend(server)
    run = await submit(backend, prompt="a fox")

    cancelling = asyncio.create_task(backend.cancel(run))
    await wait_until(lambda: server.progress_requests)
    server.loaded.set()
    _, snapshot = await follow(backend, run)

    assert snapshot.state is PredictionState.CANCELED
    assert server.runs[0].is_interrupted
    cancelling.cancel()
    await backend.close()


async def test_a_server_with_other_clients_is_not_interrupted(server: A1111Server) -> None:
    server.holds_runs = True
    stranger, backend = open_backend(server), open_backend(server, at_once=None)
    await submit(stranger, prompt="of a stranger")
    run = await submit(backend, prompt="a fox")

    await backend.cancel(run)
    events, snapshot = await follow(backend, run)

    assert [type(event) for event in events] == [RunPending]
    assert snapshot.state is PredictionState.CANCELED
    assert not server.runs[0].is_interrupted
    await backend.close()
    await stranger.close()


async def test_forges_run_of_a_stranger_is_neither_shown_nor_interrupted() -> None:
    async with A1111Server(A1111Flavour.FORGE).serve() as server:
        server.holds_runs = True
        stranger, backend = open_backend(server), open_backend(server)
        await submit(stranger, prompt="of a stranger")
        run = await submit(backend, prompt="a fox")

        await backend.cancel(run)
        events, snapshot = await follow(backend, run)

        assert not any(isinstance(event, RunProgress) for event in events)
        assert snapshot.state is PredictionState.CANCELED
        assert not server.runs[0].is_interrupted
        await backend.close()
        await stranger.close()


async def test_stable_diffusion_cpp_draws_without_info_and_progress() -> None:
    async with A1111Server(A1111Flavour.SDCPP).serve() as server:
        backend = open_backend(server)

        snapshot = await run_once(backend, prompt='a fox <sd_cpp_extra_args>{"steps": 999}</sd_cpp_extra_args>')

        assert len(snapshot.files) == 1
        assert server.runs[0].body["prompt"] == 'a fox {"steps": 999}'


async def test_a_run_of_an_earlier_process_is_lost(server: A1111Server) -> None:
    backend = open_backend(server)

    with pytest.raises(RunLost):
        await follow(backend, "r1")

    assert not backend.finds_runs
    await backend.close()


async def test_out_of_memory_has_a_plain_sentence(server: A1111Server) -> None:
    server.fails_with = "CUDA out of memory. Tried to allocate 2.00 GiB"
    backend = open_backend(server)

    told = await fail(backend, prompt="a fox")

    assert str(told) == "The model failed: out of memory. Try a smaller picture, or fewer at once."
    await backend.close()


@pytest.mark.parametrize(
    ("model", "inputs", "sentence"),
    [
        (replace(PAINTER, ref="gone"), {"prompt": "a fox"}, "does not have the checkpoint gone"),
        (replace(UPSCALER, ref="gone"), {"image": "x"}, "does not have the upscaler gone"),
        (UPSCALER, {"image": "http://127.0.0.1/secret.png"}, "takes a picture for image"),
        (PAINTER, {"prompt": "a fox", "init_images": "/etc/passwd"}, "takes a picture for init_images"),
    ],
)
async def test_what_the_server_would_take_silently_is_refused(
    server: A1111Server, model: Model, inputs: dict[str, JSON], sentence: str
) -> None:
    backend = open_backend(server)

    with pytest.raises(InputRefused, match=sentence):
        await submit(backend, model, **inputs)

    assert not server.runs
    await backend.close()


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [({"sampler_name": "Nope"}, "Sampler not found"), ({"steps": "many"}, "steps: value is not valid")],
)
async def test_refused_inputs_are_named(server: A1111Server, inputs: dict[str, JSON], sentence: str) -> None:
    backend = open_backend(server)

    told = await fail(backend, prompt="a fox", **inputs)

    assert isinstance(told, InputRefused)
    assert sentence in str(told)
    await backend.close()


async def test_the_password_goes_by_basic_authentication() -> None:
    async with A1111Server(login="ana:s3cret").serve() as server:
        snapshot = await run_once(open_backend(server, key="ana:s3cret"), prompt="a fox")
        stranger = open_backend(server, key="ana:guess")

        assert snapshot.state is PredictionState.SUCCEEDED
        with pytest.raises(BackendRefusedToken, match="does not accept the bot's key"):
            await stranger.probe()
        await stranger.close()


async def test_the_owner_reads_what_the_server_has(server: A1111Server) -> None:
    backend, shared = open_backend(server), open_backend(server, at_once=None)

    assert await backend.list_models() == [*CHECKPOINTS, "R-ESRGAN 4x+", "clip", "deepdanbooru"]
    assert await backend.probe() == "The model server sd has 2 checkpoints."
    assert "Set at_once = 1" in await shared.probe()
    sampler = (await backend.get_schema("v1-5-pruned.safetensors")).find_field("sampler_name")
    assert sampler is not None
    assert sampler.choices == ("Euler a", "DPM++ 2M")
    assert (await backend.get_schema("clip")).output is OutputKind.TEXT
    with pytest.raises(PredictionGone):
        await backend.get_schema("gone")
    await backend.close()
    await shared.close()


async def test_a_server_that_is_away_or_another_has_a_plain_sentence(server: A1111Server) -> None:
    away = A1111Backend(BackendConfig("sd", BackendKind.A1111, "http://127.0.0.1:9"), SystemClock())
    other = open_backend(server, url=f"{server.url}/elsewhere")

    for backend, kind in ((away, BackendDown), (other, BackendError)):
        with pytest.raises(kind, match="The model server sd"):
            await submit(backend, prompt="a fox")
        await backend.close()
