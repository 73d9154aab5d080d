"""The backend against the sandbox: the whole API over a real socket, nothing scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import (
    InputFile,
    InputValue,
    PredictionState,
    RunEnded,
    RunEvent,
    RunPreviewFile,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.clock import SystemClock
from bot.core.errors import BackendBusy, BackendOutOfCredit, BackendRefusedToken, InputRefused, SubmitUnclear
from bot.core.json import JSON
from bot.core.models import Metric, Model, OutputKind
from bot.media.recordings import measure_recording
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.clock import LeapingClock, wait_until
from tests.backends.replicate.samples import PAINTER, PINNED_PAINTER, TOKEN, WRITER, make_model

UPSCALER = make_model(
    OutputKind.PICTURES,
    ref="nightmareai/real-esrgan",
    version="f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa",
)
CAPTIONER = make_model(
    OutputKind.TEXT,
    ref="salesforce/blip",
    version="2e1dddc8621f72155f24cf2e0adbde548458d3cab9f00c0139eea840d0ac4746",
    prefixes=("Caption: ",),
)
FILMER = make_model(
    OutputKind.VIDEO,
    ref="anotherjesse/zeroscope-v2-xl",
    version="9f747673945c62801b13b84701c783929c0ee784e4748ec062204894dda1a351",
)
SMALL: dict[str, JSON] = {"prompt": "a fox in the snow", "megapixels": "0.25", "num_outputs": 2, "seed": 7}
HANG: dict[str, JSON] = {"prompt": "fault:hang"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(token=TOKEN, speed=0.0))
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
async def replicate(sandbox: Sandbox) -> AsyncIterator[ReplicateBackend]:
    backend = ReplicateBackend(sandbox.url, TOKEN, SystemClock())
    yield backend
    await backend.close()


async def submit(backend: ReplicateBackend, model: Model, inputs: dict[str, JSON]) -> str:
    return await backend.submit(model, inputs, job="j1", run="r1", cancel_after_seconds=60)


async def watch(backend: ReplicateBackend, model: Model, backend_id: str) -> list[RunEvent]:
    async with aclosing(backend.watch(model, backend_id)) as events:
        return [event async for event in events]


async def run(backend: ReplicateBackend, model: Model, inputs: dict[str, JSON]) -> tuple[list[RunEvent], RunSnapshot]:
    events = await watch(backend, model, await submit(backend, model, inputs))
    assert isinstance(events[-1], RunEnded)
    return events, events[-1].snapshot


async def test_pictures(replicate: ReplicateBackend) -> None:
    events, snapshot = await run(replicate, PAINTER, SMALL)

    assert isinstance(events[0], RunStarted)
    assert snapshot.state is PredictionState.SUCCEEDED
    assert len(snapshot.files) == 2
    assert snapshot.metrics.predict_seconds is not None
    assert snapshot.created_at is not None


async def test_a_still_comes_before_the_video(replicate: ReplicateBackend) -> None:
    events, snapshot = await run(replicate, FILMER, {"prompt": "a fox", "num_frames": 2, "seed": 7})

    (still,) = [event for event in events if isinstance(event, RunPreviewFile)]
    (video,) = snapshot.files
    async with httpx.AsyncClient() as client:
        contents = [(await client.get(str(url))).content for url in (still.url, video)]
    assert Image.open(BytesIO(contents[0])).size == (640, 360)
    assert measure_recording(contents[1]).mime == "video/webm"


async def test_words(replicate: ReplicateBackend) -> None:
    events, snapshot = await run(replicate, WRITER, {"prompt": "Hello"})

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == snapshot.text
    assert snapshot.text
    assert snapshot.metrics.get(Metric.TOKEN_OUTPUT_COUNT)


async def test_words_across_a_cut_stream(replicate: ReplicateBackend, sandbox: Sandbox) -> None:
    events, snapshot = await run(replicate, WRITER, {"prompt": "fault:cut Hello"})

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == snapshot.text
    assert snapshot.state is PredictionState.SUCCEEDED


async def test_a_caption_is_written_for_a_picture(replicate: ReplicateBackend, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), "red").save(path)
    file = InputFile("0" * 64, "image/png", path.stat().st_size, str(path))

    events, snapshot = await run(replicate, CAPTIONER, await replicate.prepare(CAPTIONER, {"image": file}))

    assert snapshot.text
    assert not snapshot.text.startswith("Caption: ")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == snapshot.text


async def test_a_large_picture_is_uploaded_and_enlarged(replicate: ReplicateBackend, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.effect_noise((640, 480), 80).save(path)
    file = InputFile("0" * 64, "image/png", path.stat().st_size, str(path))
    inputs = await replicate.prepare(UPSCALER, {"image": file, "scale": 2})
    assert str(inputs["image"]).startswith("http")

    _, snapshot = await run(replicate, UPSCALER, inputs)

    assert snapshot.state is PredictionState.SUCCEEDED
    assert len(snapshot.files) == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [("nsfw", "sensitive"), ("e005", "sensitive"), ("oom", "out of memory"), ("e003", "demand"), ("fail", "failed")],
)
async def test_failed_runs_raise_their_errors(
    replicate: ReplicateBackend, sandbox: Sandbox, fault: str, text: str
) -> None:
    backend_id = await submit(replicate, PAINTER, {"prompt": f"fault:{fault}"})
    sandbox.clock.advance(30)

    events = await watch(replicate, PAINTER, backend_id)

    assert isinstance(events[-1], RunEnded)
    assert events[-1].snapshot.state is PredictionState.FAILED
    assert text in str(replicate.explain(events[-1].snapshot))


async def test_a_stopped_run_ends_canceled(replicate: ReplicateBackend) -> None:
    backend_id = await submit(replicate, PAINTER, HANG)
    watching = asyncio.create_task(watch(replicate, PAINTER, backend_id))

    await replicate.cancel(backend_id)
    await replicate.cancel(backend_id)

    end = (await watching)[-1]
    assert isinstance(end, RunEnded)
    assert end.snapshot.state in (PredictionState.CANCELED, PredictionState.ABORTED)


async def test_a_run_outlives_silence_and_ends_at_its_limit(replicate: ReplicateBackend, sandbox: Sandbox) -> None:
    backend_id = await submit(replicate, WRITER, HANG)
    watching = asyncio.create_task(watch(replicate, WRITER, backend_id))

    def is_over() -> bool:
        sandbox.clock.advance(25)  # the stream's 30 s of silence, then Cancel-After
        return watching.done()

    await wait_until(is_over)

    end = (await watching)[-1]
    assert isinstance(end, RunEnded)
    assert end.snapshot.state in (PredictionState.CANCELED, PredictionState.ABORTED)


async def test_an_unclear_create_is_found_again(replicate: ReplicateBackend) -> None:
    began = datetime.now(UTC) - timedelta(seconds=30)
    inputs: dict[str, JSON] = {**SMALL, "prompt": "fault:500 a fox"}
    with pytest.raises(SubmitUnclear):
        await submit(replicate, PAINTER, inputs)

    found = await replicate.find(PAINTER, inputs, run="r1", created_after=began)

    assert len(found) == 1
    assert await replicate.find(PAINTER, SMALL, run="r1", created_after=began) == []
    assert isinstance((await watch(replicate, PAINTER, found[0].backend_id))[-1], RunEnded)


async def test_find_follows_pages(replicate: ReplicateBackend) -> None:
    began = datetime.now(UTC) - timedelta(seconds=30)
    first = await submit(replicate, PINNED_PAINTER, {**HANG, "seed": 0})
    for seed in range(1, 121):
        await submit(replicate, PINNED_PAINTER, {**HANG, "seed": seed})

    found = await replicate.find(PINNED_PAINTER, {**HANG, "seed": 0}, run="r1", created_after=began)

    assert [snapshot.backend_id for snapshot in found] == [first]


async def test_a_refused_create_raises_its_error(replicate: ReplicateBackend, sandbox: Sandbox) -> None:
    with pytest.raises(InputRefused, match="num_outputs"):
        await submit(replicate, PAINTER, {"prompt": "a fox", "num_outputs": 9})
    with pytest.raises(InputRefused, match="prompt"):
        await submit(replicate, PAINTER, {})
    with pytest.raises(InputRefused):
        await submit(replicate, make_model(OutputKind.TEXT, ref="nobody/nothing"), {"prompt": "a fox"})
    with pytest.raises(BackendOutOfCredit):
        await submit(replicate, PAINTER, {"prompt": "fault:402"})
    with pytest.raises(BackendBusy):
        await submit(replicate, PAINTER, {"prompt": "fault:429=90"})


async def test_the_probe_names_the_account_and_refuses_a_wrong_token(
    replicate: ReplicateBackend, sandbox: Sandbox
) -> None:
    stranger = ReplicateBackend(sandbox.url, "r8_wrong", SystemClock())

    assert (await replicate.probe()).startswith("Replicate answers, as ")
    with pytest.raises(BackendRefusedToken):
        await stranger.probe()

    await stranger.close()


async def test_a_long_picture_reports_its_start(sandbox: Sandbox) -> None:
    clock = LeapingClock(max_leap_seconds=2.9)
    backend = ReplicateBackend(sandbox.url, TOKEN, clock)
    backend_id = await submit(backend, PAINTER, {**SMALL, "prompt": "fault:slow=600 a fox"})

    async def first_sign() -> RunEvent:
        async with aclosing(backend.watch(PAINTER, backend_id)) as events:
            return await anext(events)

    waiting = asyncio.create_task(first_sign())

    def is_told() -> bool:
        clock.advance(3.7)
        return waiting.done()

    await wait_until(is_told)
    assert isinstance(await waiting, RunStarted)
    await backend.cancel(backend_id)
    await backend.close()


SEEING: dict[str, dict[str, JSON]] = {
    "openai/gpt-5-mini": {"messages": [{"role": "user", "content": "Which colours?"}], "image_input": 2},
    "anthropic/claude-4.5-haiku": {"prompt": "Which colours?", "system_prompt": "Be brief.", "image": 1},
    "google/gemini-2.5-flash": {"prompt": "Which colours?", "images": 2},
}


@pytest.mark.parametrize("ref", SEEING)
async def test_chat_models_see_pictures(replicate: ReplicateBackend, tmp_path: Path, ref: str) -> None:
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "teal.png")
    file = InputFile("a" * 64, "image/png", 100, str(tmp_path / "teal.png"), 64, 48)
    given: dict[int, InputValue] = {1: file, 2: (file, file)}
    model = make_model(OutputKind.TEXT_STREAM, ref=ref, version="")
    inputs = {name: given[value] if isinstance(value, int) else value for name, value in SEEING[ref].items()}

    _, snapshot = await run(replicate, model, await replicate.prepare(model, inputs))

    assert snapshot.text.count("Measured, not recognised:") == (1 if "image" in SEEING[ref] else 2)
    assert "teal" in snapshot.text
    assert snapshot.metrics.get(Metric.TOKEN_OUTPUT_COUNT) == len(snapshot.text.split())
