"""The owner's verbs on a ComfyUI server: workflows as schemas, drafts of entries, and what the server lacks."""

import asyncio
import tomllib
from datetime import date
from pathlib import Path

import pytest

from bot.catalogue.drafting import draft_entry
from bot.cli import main
from bot.core.errors import PredictionGone
from bot.core.models import Model, OutputKind
from tests.backends.comfyui.conftest import EXAMPLES, Rig
from tests.emulators.comfyui.catalogue import write_catalogue
from tests.emulators.comfyui.emulator import ComfyUIEmulator

TODAY = date(2026, 12, 1)


async def test_the_examples_are_drafted_as_they_stand_in_the_catalogue(rig: Rig) -> None:
    drawing = draft_entry(await rig.backend.get_schema("text-to-picture.json"), today=TODAY).text
    editing = draft_entry(await rig.backend.get_schema("picture-to-picture.json"), today=TODAY).text

    drawn = tomllib.loads(drawing)["text-to-picture"]
    edited = tomllib.loads(editing)["picture-to-picture"]
    inputs = drawn["inputs"]
    assert "strength" not in inputs
    assert (drawn["task"], drawn["title"], drawn["backend"], drawn["output"]) == (
        "imagine",
        "Text to picture",
        "comfyui",
        "pictures",
    )
    assert inputs["prompt"] == "Prompt.text"
    assert inputs["negative"] == "Negative prompt.text"
    assert inputs["seed"] == "Sampler.seed"
    assert inputs["count"] == {"to": "Empty picture.batch_size", "minimum": 1, "maximum": 4}
    assert inputs["guidance"]["to"] == "Sampler.cfg"
    assert inputs["aspect"]["expands"]["16:9"] == {"Empty picture.width": 1344, "Empty picture.height": 768}
    assert edited["task"] == "edit"
    assert edited["inputs"]["image"] == {"to": "Picture.image", "file": True}


async def test_words_are_found_behind_guiders_and_loose_texts(rig: Rig, drawing: Model, tmp_path: Path) -> None:
    guided = {
        "3": {"class_type": "KSampler", "inputs": {"positive": ["30", 0], "seed": 1}},
        "30": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "steps": 2}},
    }
    rig.write_workflow(tmp_path, drawing.ref, **guided)

    schema = await rig.open(folder=tmp_path).get_schema(drawing.ref)

    prompt = schema.find_field("prompt")
    assert prompt is not None
    assert (prompt.name, schema.output) == ("Prompt.text", OutputKind.PICTURES)


async def test_a_missing_node_and_a_missing_file_are_named(rig: Rig, drawing: Model, tmp_path: Path) -> None:
    broken = {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base.safetensors"}},
        "20": {"class_type": "FancyDetailer", "inputs": {}},
    }
    rig.write_workflow(tmp_path, drawing.ref, **broken)

    schema = await rig.open(folder=tmp_path).get_schema(drawing.ref)

    assert schema.problems == (
        "needs the node FancyDetailer, which the server does not have: install it in ComfyUI, or take it out of "
        "text-to-picture.json.",
        "names sd_xl_base.safetensors in CheckpointLoaderSimple.ckpt_name, which the server does not have: it has "
        "sd_xl_base_1.0.safetensors.",
    )


async def test_workflow_files_are_listed_and_other_files_are_none(rig: Rig) -> None:
    assert await rig.backend.list_models() == ["picture-to-picture.json", "text-to-picture.json"]
    with pytest.raises(PredictionGone, match=r"models\.toml is no JSON"):
        await rig.backend.get_schema(EXAMPLES.name)


async def test_models_check_and_doctor_on_the_examples(
    server: ComfyUIEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue", server.url)
    monkeypatch.setenv("CATALOGUE_PATH", str(catalogue))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))

    async def run(line: str) -> str:
        await asyncio.to_thread(main, line.split())
        return capsys.readouterr().out

    assert await run("models check") == "ok     sdxl-home\nok     sdxl-home-edit\n2 of 2 entries fit.\n"
    catalogue.write_text(catalogue.read_text().replace("maximum = 60", "maximum = 20000"))
    assert "wrong  sdxl-home takes Sampler.steps up to 10000, not 20000" in await run("models check")
    assert "ok    comfyui: ComfyUI 0.45.2 answers, on cuda:0 NVIDIA GeForce RTX 4090" in await run("doctor")
