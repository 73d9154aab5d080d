"""The workflow in a picture of ComfyUI: kept when wanted, and no other text of the file with it."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.core.limits import MAX_RECIPE_BYTES
from bot.media.media import Media

GRAPH = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "ein Füchslein \ud83e"}}}


def make_picture(**texts: str) -> bytes:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("texts", "keeps_recipe", "kept"),
    [
        ({"prompt": json.dumps(GRAPH), "parameters": "secret"}, True, ["prompt"]),
        ({"prompt": json.dumps(GRAPH)}, False, []),
        ({"prompt": "a fox"}, True, []),
        ({"prompt": '{"words": "a fox"}'}, True, []),
        ({"prompt": json.dumps({"6": {**GRAPH["6"], "note": "x" * MAX_RECIPE_BYTES}})}, True, []),
        ({"prompt": "[" * 100_000}, True, []),
    ],
)
async def test_only_a_workflow_is_kept_and_only_when_wanted(
    tmp_path: Path, texts: dict[str, str], keeps_recipe: bool, kept: list[str]
) -> None:
    media = Media(tmp_path)

    file = await media.take_output(make_picture(**texts), keeps_recipe=keeps_recipe)

    picture = Image.open(file.path)
    picture.load()
    assert list(picture.info) == kept
    assert not kept or json.loads(picture.info["prompt"]) == GRAPH
    await media.close()
