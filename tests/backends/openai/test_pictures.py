"""Pictures by /images/generations and /images/edits, on the stand-in that keeps OpenAI's rules."""

import base64
import io
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.backends.openai.backend import OpenAIBackend
from bot.catalogue.loading import load_catalogue
from bot.core.backend import BackendConfig, BackendKind, RunEnded, RunPreview
from bot.core.clock import SystemClock
from bot.core.json import JSON
from tests.backends.openai.catalogue import BY_PICTURE, make_backend, make_picture_models
from tests.backends.own_bench import open_own_bench
from tests.emulators.openai.server import KEY, Flavour, open_openai_server
from tests.fakes.backend import make_png


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_KEY", KEY)


def make_catalogue(url: str) -> str:
    return make_backend(url, key_env="HOME_KEY") + make_picture_models(BY_PICTURE)


async def test_pictures_come_as_bytes_and_are_charged_by_the_picture(tmp_path: Path) -> None:
    async with open_openai_server(Flavour.OPENAI) as server:
        server.will(picture=make_png(64, 48))
        async with open_own_bench(tmp_path, make_catalogue(server.url)) as bench:
            await bench.run("/imagine a fox <sd_cpp_extra_args>{}</sd_cpp_extra_args> --count 2")

            assert [file.mime for file in bench.last.reply.pictures] == ["image/png"] * 2
            assert await bench.paid_micros() == 40_000
        # A person's words must not become settings of stable-diffusion.cpp.
        assert server.requests == [{"model": "acme-image-1", "n": 2, "prompt": "a fox {}"}]


async def test_an_edit_sends_picture_and_mask_as_files(tmp_path: Path) -> None:
    picture, mask = make_png(64, 48), make_png(64, 48, "white")
    async with open_openai_server(Flavour.OPENAI) as server:
        server.will(picture=make_png())
        async with open_own_bench(tmp_path, make_catalogue(server.url)) as bench:
            await bench.run("/edit make it snow", image=picture, mask=mask)

            assert len(bench.last.reply.pictures) == 1
        (upload,) = server.uploads
        assert upload.keys() == {"image", "mask"}
        with Image.open(io.BytesIO(upload["mask"])) as sent:
            assert sent.getchannel("A").getextrema() == (0, 0)  # transparent where people paint white
        assert server.requests[0]["prompt"] == "make it snow"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"status": 400, "error": "Your request was rejected by the safety system"}, "rejected by the safety system"),
    ({"picture": b"no picture"}, "not a picture I can read"),
    ({"picture": b""}, "gave no picture"),
]


@pytest.mark.parametrize(("script", "sentence"), FAULTS, ids=lambda value: str(value)[:30])
async def test_a_fault_is_one_sentence_and_costs_nothing(tmp_path: Path, script: dict[str, Any], sentence: str) -> None:
    async with (
        open_openai_server(Flavour.OPENAI) as server,
        open_own_bench(tmp_path, make_catalogue(server.url)) as bench,
    ):
        server.will(**script)

        assert sentence in await bench.run("/imagine a fox")
        assert await bench.paid_micros() == 0


async def test_a_server_without_pictures_says_so(tmp_path: Path) -> None:
    async with open_openai_server() as server, open_own_bench(tmp_path, make_catalogue(server.url)) as bench:
        assert "does not have this model or route" in await bench.run("/imagine a fox")
        assert await bench.paid_micros() == 0


async def test_partial_pictures_of_a_stream_are_previews(tmp_path: Path) -> None:
    picture, encoded = make_png(64, 48), base64.b64encode(make_png(64, 48)).decode()
    lines: list[dict[str, Any]] = [
        {"type": "image_generation.partial_image", "b64_json": encoded, "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": encoded, "usage": {"input_tokens": 5, "output_tokens": 9}},
    ]
    body = "".join(f"event: {line['type']}\ndata: {json.dumps(line)}\n\n" for line in lines).encode()
    async with open_openai_server(Flavour.OPENAI) as server:
        server.will(body=body)
        backend = OpenAIBackend(BackendConfig("home", BackendKind.OPENAI, server.url, key=KEY), SystemClock())
        path = tmp_path / "models.toml"
        path.write_text(make_catalogue(server.url), encoding="utf-8")
        painter = load_catalogue(path)[0]
        inputs: dict[str, JSON] = {"prompt": "a fox", "n": 1}

        run = await backend.submit(painter, inputs, job="j1", run="r1", cancel_after_seconds=30)
        async with aclosing(backend.watch(painter, run)) as watched:
            events = [event async for event in watched]
        await backend.close()

    assert RunPreview(picture, "image/png") in events
    assert isinstance(events[-1], RunEnded)
    assert events[-1].snapshot.files == (picture,)
