"""Entries of ComfyUI models: each named input is checked against the workflow file when the catalogue is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.catalogue.loading import CatalogueError, load_catalogue

EXAMPLES = Path("examples/comfyui")


def write_catalogue(folder: Path, *, entry: tuple[str, str] = ("", ""), nodes: Mapping[str, Any] | None = None) -> Path:
    """Write the example into a folder, with a replaced part of the entries and further nodes of the first workflow."""
    for path in EXAMPLES.glob("*.json"):
        (folder / path.name).write_text(path.read_text())
    text = (EXAMPLES / "models.toml").read_text()
    assert entry[0] in text
    (folder / "models.toml").write_text(text.replace(*entry, 1))
    workflow = json.loads((EXAMPLES / "text-to-picture.json").read_text())
    (folder / "text-to-picture.json").write_text(json.dumps({**workflow, **(nodes or {})}))
    return folder / "models.toml"


def test_the_examples_load() -> None:
    assert [model.key for model in load_catalogue(EXAMPLES / "models.toml")] == ["sdxl-home", "sdxl-home-edit"]


def test_a_node_may_be_named_by_its_id(tmp_path: Path) -> None:
    load_catalogue(write_catalogue(tmp_path, entry=('"Prompt.text"', '"6.text"')))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (('"Prompt.text"', '"Prompt.words"'), "has no input “Prompt.words”: write node.input"),
        (('"Prompt.text"', '"text"'), "has no input “text”"),
        (('"Prompt.text"', '"Sampler.positive"'), "is linked to another node"),
        (('"Prompt.text"', '"Checkpoint.ckpt_name"'), "names a file of the server"),
        (('"Prompt.text"', '"Save.filename_prefix"'), "names a file of the server"),
        (('{ "Empty picture.width" = 1024,', '{ "Empty picture.w" = 1024,'), "has no input “Empty picture.w”"),
        (('"text-to-picture.json"', '"gone.json"'), "gone.json cannot be read: No such file"),
        (('"text-to-picture.json"', '"text-to-picture"'), "ref names the workflow's file"),
    ],
)
def test_a_wrong_entry_is_refused_with_the_way_to_mend_it(tmp_path: Path, entry: tuple[str, str], words: str) -> None:
    with pytest.raises(CatalogueError, match=r"^\[sdxl-home\] is wrong: .*") as caught:
        load_catalogue(write_catalogue(tmp_path, entry=entry))

    assert words in str(caught.value)


def test_a_title_of_two_nodes_is_refused(tmp_path: Path) -> None:
    twin = {"class_type": "CLIPTextEncode", "inputs": {"text": "x"}, "_meta": {"title": "Prompt"}}

    with pytest.raises(CatalogueError, match="2 nodes of the workflow have the title “Prompt”: name one by its id"):
        load_catalogue(write_catalogue(tmp_path, nodes={"66": twin}))


def test_a_workflow_saved_for_the_editor_is_refused(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    (tmp_path / "text-to-picture.json").write_text('{"nodes": [], "links": []}')

    with pytest.raises(CatalogueError, match=r"export it in ComfyUI with Workflow > Export \(API\)"):
        load_catalogue(path)
