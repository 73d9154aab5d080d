"""Runs from the create to the files: events, previews, the queue of others, cancels, adoption, faults."""

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from PIL import Image

from bot.backends.comfyui.client import make_prompt_id
from bot.core.backend import (
    InputFile,
    PredictionState,
    RunEnded,
    RunPending,
    RunPreview,
    RunProgress,
    RunStarted,
)
from bot.core.errors import (
    BackendDown,
    BackendRefusedToken,
    InputRefused,
    ModelFailed,
    PredictionGone,
    SubmitUnclear,
)
from bot.core.models import Model, OutputKind
from tests.backends.clock import wait_until
from tests.backends.comfyui.conftest import FOX, KEY, RUN, Rig
from tests.emulators.comfyui.emulator import ComfyUIEmulator
from tests.emulators.comfyui.runs import ExecutionError
from tests.fakes.backend import make_png


def make_input(folder: Path, content: bytes, name: str = "a" * 64) -> InputFile:
    path = folder / name
    path.write_bytes(content)
    return InputFile(name, "image/png", len(content), str(path))


async def fetch(url: str | bytes) -> bytes:
    assert isinstance(url, str)
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).content


async def test_a_run_gives_progress_previews_and_the_saved_picture(rig: Rig, drawing: Model) -> None:
    rig.server.hold()
    backend_id = await rig.start(drawing)
    following = asyncio.create_task(rig.follow(drawing, backend_id))
    await rig.release_slowly(backend_id)
    events = await following

    percents = [event.percent for event in events if isinstance(event, RunProgress)]
    previews = [event for event in events if isinstance(event, RunPreview)]
    assert sum(isinstance(event, RunStarted) for event in events) == 1
    assert percents == sorted(set(percents))
    assert percents[-1] > 50
    assert {Image.open(io.BytesIO(preview.data)).format for preview in previews} == {"JPEG"}
    end = events[-1]
    assert isinstance(end, RunEnded)
    assert end.snapshot.state is PredictionState.SUCCEEDED
    assert Image.open(io.BytesIO(await fetch(end.snapshot.files[0]))).size == (64, 64)
    assert end.snapshot.metrics.predict_seconds is not None


async def test_each_run_has_a_fresh_seed_and_a_file_of_its_own(rig: Rig, drawing: Model) -> None:
    first = await rig.finish(drawing, await rig.start(drawing, run="a" * 20))
    second = await rig.finish(drawing, await rig.start(drawing, run="b" * 20))

    seeds = {run["prompt"][2]["3"]["inputs"]["seed"] for run in rig.server.runs.history.values()}
    assert len(seeds) == 2
    assert first.files != second.files


async def test_half_an_emoji_and_a_value_like_a_link_are_mere_words(rig: Rig, drawing: Model) -> None:
    snapshot = await rig.finish(drawing, await rig.start(drawing, {**FOX, "Prompt.text": 'half \ud83d ["4", 0]'}))

    (run,) = rig.server.runs.history.values()
    assert snapshot.state is PredictionState.SUCCEEDED
    assert run["prompt"][2]["6"]["inputs"]["text"] == 'half \ud83d ["4", 0]'


async def test_a_chosen_seed_is_kept(rig: Rig, drawing: Model) -> None:
    await rig.finish(drawing, await rig.start(drawing, {**FOX, "Sampler.seed": 7}))

    (run,) = rig.server.runs.history.values()
    assert run["prompt"][2]["3"]["inputs"]["seed"] == 7


async def test_a_picture_is_uploaded_and_the_answered_name_is_used(rig: Rig, editing: Model, tmp_path: Path) -> None:
    one, other = make_png(48, 32), make_png(40, 40)
    name = "a" * 64
    await rig.finish(editing, await rig.start(editing, {"Picture.image": make_input(tmp_path, one)}, run="a" * 20))
    inputs = await rig.backend.prepare(editing, {"Picture.image": make_input(tmp_path, other, name)})

    assert inputs["Picture.image"] == f"easel/{'a' * 32} (1).png"
    await rig.backend.submit(editing, inputs, job="j", run="b" * 20, cancel_after_seconds=60)
    snapshot = await rig.finish(editing, make_prompt_id("b" * 20))
    assert Image.open(io.BytesIO(await fetch(snapshot.files[0]))).size == (40, 40)


async def test_the_place_behind_the_runs_of_strangers_is_told(rig: Rig, drawing: Model) -> None:
    rig.server.hold()
    rig.server.add_stranger()
    rig.server.add_stranger()
    backend_id = await rig.start(drawing)

    watching = rig.backend.watch(drawing, backend_id)
    assert await anext(watching) == RunPending(2)
    rig.server.release()
    events = [event async for event in watching]

    assert isinstance(events[-1], RunEnded)


@pytest.mark.parametrize("version", ["0.45.2", "0.25.1"])
@pytest.mark.parametrize("is_waiting", [True, False])
async def test_a_cancel_stops_this_run_alone(rig: Rig, drawing: Model, version: str, is_waiting: bool) -> None:
    rig.server.version = version
    rig.server.hold()
    stranger = rig.server.add_stranger() if is_waiting else ""
    backend_id = await rig.start(drawing)
    following = asyncio.create_task(rig.finish(drawing, backend_id))
    await wait_until(lambda: rig.server.sockets.opened)
    stranger = stranger or rig.server.add_stranger()

    await rig.backend.cancel(backend_id)
    snapshot = await following
    rig.server.release()

    assert snapshot.state is PredictionState.CANCELED
    await wait_until(lambda: rig.server.runs.find_state(stranger) == "completed")
    await rig.backend.cancel(backend_id)  # harmless after the end


async def test_a_stop_by_the_owner_at_the_server_ends_the_run_as_cancelled(rig: Rig, drawing: Model) -> None:
    rig.server.hold()
    backend_id = await rig.start(drawing)
    following = asyncio.create_task(rig.finish(drawing, backend_id))
    await wait_until(lambda: rig.server.runs.interrupt(backend_id))

    assert (await following).state is PredictionState.CANCELED


async def test_a_silent_socket_does_not_hide_the_end(rig: Rig, drawing: Model) -> None:
    rig.server.sockets.is_silent = True

    snapshot = await rig.finish(drawing, await rig.start(drawing))

    assert snapshot.state is PredictionState.SUCCEEDED


async def test_a_refused_socket_leaves_the_looks(rig: Rig, drawing: Model) -> None:
    rig.server.fail_calls("GET /ws", *["403"] * 100)

    assert (await rig.finish(drawing, await rig.start(drawing))).state is PredictionState.SUCCEEDED


async def test_another_process_adopts_a_running_and_an_ended_run(rig: Rig, drawing: Model) -> None:
    rig.server.hold()
    backend_id = await rig.start(drawing)
    other = rig.open()
    rig.backend = other

    (running,) = await other.find(drawing, {}, run=RUN, created_after=other._clock.now())
    rig.server.release()
    snapshot = await rig.finish(drawing, backend_id)
    (ended,) = await other.find(drawing, {}, run=RUN, created_after=other._clock.now())

    assert (running.backend_id, running.state.is_final) == (backend_id, False)
    assert snapshot.state is ended.state is PredictionState.SUCCEEDED
    assert await other.find(drawing, {}, run="c" * 20, created_after=other._clock.now()) == []


@pytest.mark.parametrize(("fault", "is_made"), [("drop after", True), ("drop before", False), ("502", False)])
async def test_a_broken_create_is_unclear_and_can_be_looked_up(
    rig: Rig, drawing: Model, fault: str, is_made: bool
) -> None:
    rig.server.fail_calls("POST /prompt", fault)

    with pytest.raises(SubmitUnclear):
        await rig.start(drawing)

    found = await rig.backend.find(drawing, {}, run=RUN, created_after=rig.backend._clock.now())
    assert [snapshot.backend_id for snapshot in found] == ([make_prompt_id(RUN)] if is_made else [])


async def test_a_restarted_server_has_forgotten_the_run(rig: Rig, drawing: Model) -> None:
    rig.server.hold()
    backend_id = await rig.start(drawing)
    await rig.server.stop()
    with pytest.raises(BackendDown, match="cannot be reached"):
        await rig.follow(drawing, backend_id)
    await rig.server.start()

    with pytest.raises(PredictionGone, match="restarted and no longer knows this run"):
        await rig.follow(drawing, backend_id)


async def test_a_stop_while_the_socket_opens_ends_the_watch(
    rig: Rig, drawing: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.server.hold()
    watching = asyncio.create_task(rig.follow(drawing, await rig.start(drawing)))
    connect = aiohttp.ClientSession._ws_connect

    async def connect_and_stop(*arguments: Any, **options: Any) -> aiohttp.ClientWebSocketResponse:
        socket: aiohttp.ClientWebSocketResponse = await connect(*arguments, **options)
        asyncio.get_running_loop().call_soon(watching.cancel)  # after this call has ended, before its caller goes on
        return socket

    monkeypatch.setattr(aiohttp.ClientSession, "_ws_connect", connect_and_stop)

    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_a_workflow_that_would_run_in_part_is_refused_and_cancelled(
    rig: Rig, drawing: Model, tmp_path: Path
) -> None:
    # A second output with an impossible value: one good output is enough for the server.
    rig.write_workflow(tmp_path, drawing.ref, **{"12": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}})
    rig.backend = rig.open(folder=tmp_path)
    rig.server.hold()

    with pytest.raises(ModelFailed, match="not set up right"):
        await rig.start(drawing)

    await wait_until(lambda: rig.server.runs.running is None and not rig.server.runs.pending)


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ({"class_type": "FancyDetailer", "inputs": {}}, "FancyDetailer"),
        ({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}}, "gone.safetensors"),
    ],
)
async def test_what_the_server_lacks_is_told_to_the_owner_and_plainly_to_the_person(
    rig: Rig, drawing: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture, node: object, named: str
) -> None:
    rig.write_workflow(tmp_path, drawing.ref, **{"4": node})
    rig.backend = rig.open(folder=tmp_path)

    with pytest.raises(ModelFailed) as caught:
        await rig.start(drawing)

    assert named not in str(caught.value)
    assert named in str(caplog.records[-1].__dict__["reason"])


async def test_a_value_beyond_the_bounds_is_told_to_the_person(rig: Rig, drawing: Model) -> None:
    with pytest.raises(InputRefused, match=r"width 99999 is larger than 16384\."):
        await rig.start(drawing, {**FOX, "Empty picture.width": 99_999})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ExecutionError("torch.OutOfMemoryError", "Allocation on device"), "its machine is out of memory"),
        (
            ExecutionError("RuntimeError", "mat1 and mat2 shapes\ncannot be multiplied"),
            "failed: mat1 and mat2 shapes cannot be",
        ),
    ],
)
async def test_a_failed_node_is_explained(rig: Rig, drawing: Model, error: ExecutionError, words: str) -> None:
    rig.server.failures["VAEDecode"] = error

    snapshot = await rig.finish(drawing, await rig.start(drawing))

    assert snapshot.state is PredictionState.FAILED
    assert words in str(rig.backend.explain(snapshot))
    assert not rig.backend.is_retryable(snapshot)


async def test_a_file_name_that_climbs_out_is_left_out(rig: Rig, drawing: Model) -> None:
    rig.server.extra_outputs = [
        {"filename": "../../etc/passwd", "subfolder": "", "type": "output"},
        {"filename": "a.png", "subfolder": "../../..", "type": "output"},
        {"filename": "C:\\secret.png", "subfolder": "", "type": "output"},
    ]

    snapshot = await rig.finish(drawing, await rig.start(drawing))

    assert len(snapshot.files) == 1


@pytest.mark.parametrize(
    ("nodes", "output", "head"),
    [
        ({"20": ("EmptyAudio", {"seconds": 1.0}), "9": ("SaveAudio", {"audio": ["20", 0]})}, OutputKind.AUDIO, b"RIFF"),
        (
            {"20": ("CreateVideo", {"images": ["8", 0]}), "9": ("SaveVideo", {"video": ["20", 0]})},
            OutputKind.VIDEO,
            b"\0\0\0\x10ftyp",
        ),
        ({"9": ("VHS_VideoCombine", {"images": ["8", 0]})}, OutputKind.VIDEO, b"\0\0\0\x10ftyp"),
        ({"9": ("PreviewImage", {"images": ["8", 0]})}, OutputKind.PICTURES, b"\x89PNG"),
    ],
)
async def test_sounds_videos_and_previewed_pictures_are_outputs(
    rig: Rig,
    drawing: Model,
    tmp_path: Path,
    nodes: dict[str, tuple[str, dict[str, object]]],
    output: OutputKind,
    head: bytes,
) -> None:
    saved = {
        name: {"class_type": kind, "inputs": {"filename_prefix": "x", **inputs}}
        for name, (kind, inputs) in nodes.items()
    }
    rig.write_workflow(tmp_path, drawing.ref, **saved)
    rig.backend = rig.open(folder=tmp_path)
    model = replace(drawing, output=output)

    snapshot = await rig.finish(model, await rig.start(model))

    (url,) = snapshot.files
    assert (await fetch(url)).startswith(head)


async def test_behind_a_proxy_every_call_carries_the_key_and_files_come_as_bytes(rig: Rig, drawing: Model) -> None:
    rig.server.key = KEY
    with pytest.raises(BackendRefusedToken):
        await rig.start(drawing)
    rig.backend = rig.open(key=KEY)
    rig.server.hold()

    backend_id = await rig.start(drawing)
    following = asyncio.create_task(rig.follow(drawing, backend_id))
    await rig.release_slowly(backend_id)
    events = await following

    end = events[-1]
    assert isinstance(end, RunEnded)
    (content,) = end.snapshot.files
    assert isinstance(content, bytes)
    assert Image.open(io.BytesIO(content)).size == (64, 64)
    assert any(isinstance(event, RunPreview) for event in events)


async def test_a_file_that_the_owner_deleted_is_left_out(rig: Rig, drawing: Model) -> None:
    rig.server.key = KEY
    rig.backend = rig.open(key=KEY)
    backend_id = await rig.start(drawing)
    (picture,) = (await rig.finish(drawing, backend_id)).files

    for path in (rig.server.folder / "output").iterdir():
        path.unlink()

    assert picture
    assert (await rig.finish(drawing, backend_id)).files == ()


@pytest.mark.parametrize("call", ["POST /prompt", "GET /ws", "GET /history/{id}"])
async def test_no_key_follows_a_redirect(rig: Rig, drawing: Model, tmp_path: Path, call: str) -> None:
    async with ComfyUIEmulator(tmp_path / "elsewhere") as elsewhere:
        rig.server.key, rig.server.redirect_to = KEY, elsewhere.url
        rig.backend = rig.open(key=KEY)
        rig.server.fail_calls(call.replace("{id}", make_prompt_id(RUN)), "redirect")
        try:
            await rig.finish(drawing, await rig.start(drawing))
        except BackendDown as error:
            assert "leads to another address" in str(error)  # noqa: PT017 - only the socket's redirect is survived
        assert KEY not in str(elsewhere.headers)


async def test_a_reply_of_two_gigabytes_is_cut_off(rig: Rig, drawing: Model) -> None:
    backend_id = await rig.start(drawing)
    rig.server.fail_calls(f"GET /history/{backend_id}", "huge")

    with pytest.raises(ModelFailed, match="sent more than 64 MB"):
        await rig.follow(drawing, backend_id)


async def test_an_older_server_is_refused_in_a_sentence(rig: Rig, drawing: Model) -> None:
    rig.server.version = "0.24.9"

    with pytest.raises(BackendDown, match="update ComfyUI to 0.25 or later"):
        await rig.start(drawing)
    with pytest.raises(BackendDown, match="update ComfyUI to 0.25 or later"):
        await rig.backend.probe()

    assert rig.server.runs.started == []


async def test_the_probe_names_version_and_machine(rig: Rig) -> None:
    assert await rig.backend.probe() == (
        "comfyui: ComfyUI 0.45.2 answers, on cuda:0 NVIDIA GeForce RTX 4090 with 20 of 25 GB free."
    )


async def test_a_forgotten_run_leaves_no_words_at_the_server(rig: Rig, drawing: Model) -> None:
    backend_id = await rig.start(drawing)
    await rig.finish(drawing, backend_id)

    await rig.backend.forget(backend_id)

    assert rig.server.runs.history == {}
