"""Recipes in files: ComfyUI's workflow is kept when wanted; recipes of given files are read, not kept."""

import asyncio
import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.core.invocations import Attachment
from bot.core.limits import MAX_RECIPE_BYTES, MAX_UPLOADS_IN_MEMORY
from bot.media.media import Media
from bot.media.recipes import GivenRecipe, find_given_recipe, load_with_recipe, write_recipe
from bot.media.stripping import add_webp_exif, make_png_chunk
from tests.bench import make_attachment
from tests.media.pictures import encode_picture, open_picture

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


A1111 = """a fox in the snow, (detailed:1.2)
two lines
Negative prompt: blurry, text
Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 123456789012345678, Model: dreamshaper_8, Version: v1.10"""
COMFYUI = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 7, "steps": 30, "cfg": 8, "positive": ["9", 0], "negative": ["7", 0], "model": ["4", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/xl.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "ein Füchslein"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry"}},
    "9": {"class_type": "ConditioningSetArea", "inputs": {"conditioning": ["6", 0]}},
}
FROM_A1111 = GivenRecipe(
    *("a fox in the snow, (detailed:1.2)\ntwo lines", "blurry, text", "dreamshaper_8"),
    *(123456789012345678, 20, 7.5),
)
FROM_COMFYUI = GivenRecipe("ein Füchslein", "blurry", "sd/xl.safetensors", 7, 30, 8.0)


def encode_with_exif(kind: str, texts: Mapping[int, str], comment: bytes = b"") -> bytes:
    exif = Image.Exif()
    exif.update(texts)
    if comment:
        exif.get_ifd(0x8769)[0x9286] = comment
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(buffer, kind, exif=exif)
    return buffer.getvalue()


def make_text_picture(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG with further chunks after the header."""
    png = make_picture()
    return png[:33] + b"".join(piece for chunk in chunks for piece in make_png_chunk(*chunk)) + png[33:]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (make_picture(parameters=A1111), FROM_A1111),
        (make_text_picture((b"iTXt", b"parameters\0\0\0en\0\0" + A1111.encode())), FROM_A1111),
        (make_text_picture((b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(A1111.encode()))), FROM_A1111),
        (make_text_picture((b"zTXt", b"parameters\0\0" + zlib.compress(A1111.encode()))), FROM_A1111),
        (make_picture(workflow="{}", prompt=json.dumps(COMFYUI)), FROM_COMFYUI),
        (encode_with_exif("JPEG", {}, b"UNICODE\0" + A1111.encode("utf-16-be")), FROM_A1111),
        (encode_with_exif("WEBP", {}, b"UNICODE\0" + A1111.encode("utf-16-le")), FROM_A1111),
        (encode_with_exif("JPEG", {}, b"ASCII\0\0\0" + A1111.encode()), FROM_A1111),
        (encode_with_exif("WEBP", {0x0110: f"prompt:{json.dumps(COMFYUI)}"}), FROM_COMFYUI),
    ],
)
def test_the_recipe_of_a_given_file_is_read(data: bytes, expected: GivenRecipe) -> None:
    assert find_given_recipe(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0*\0\0\0\xff",
        make_picture(),
        make_picture(parameters="a fox"),
        make_picture(parameters="\nSteps: 5"),
        make_picture(prompt="[" * 100_000),
        make_picture(prompt=json.dumps({"6": COMFYUI["6"]})),
        # A ring of nodes, a link to nowhere, and words that are no text.
        make_picture(prompt=json.dumps({**COMFYUI, "9": {"class_type": "Area", "inputs": {"conditioning": ["9", 0]}}})),
        make_picture(prompt=json.dumps({"3": COMFYUI["3"]})),
        make_picture(prompt=json.dumps({**COMFYUI, "9": {"class_type": "Area", "inputs": {"text": 5}}})),
        make_text_picture((b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 50_000_000))),
        make_text_picture((b"iTXt", b"parameters\0\1")),
        make_text_picture((b"iTXt", b"parameters\0\1\0\0\0no zlib")),
        make_picture(parameters="x" * MAX_RECIPE_BYTES + "\nSteps: 5"),
        # The texts of a file are bounded together: each of 20,000 unpacks to a megabyte.
        make_text_picture(
            (b"zTXt", b"prompt\0\0" + zlib.compress(b" " * MAX_RECIPE_BYTES)),
            (b"zTXt", b"parameters\0\0" + zlib.compress(A1111.encode())),
        ),
        encode_with_exif("JPEG", {0x010E: "a boat"}, b"UNICODE\0\xd8"),
        make_picture()[:60],
    ],
    ids=range(17),
)
def test_hostile_files_and_files_without_a_recipe_give_none(data: bytes) -> None:
    assert find_given_recipe(data) is None


RECIPE = "狐の絵, a fox\nNegative prompt: blurry\nSeed: 5, Size: 8x6, Model: flux-schnell"


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("JPEG", "RGB", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
async def test_a_delivered_picture_has_its_recipe_and_comes_back_as_the_kept_file(
    tmp_path: Path, kind: str, mode: str, options: dict[str, Any]
) -> None:
    media = Media(tmp_path)
    kept = await media.take_output(encode_picture(kind, mode=mode, **options))
    plain = load_with_recipe(Path(kept.path), "")

    delivered = load_with_recipe(Path(kept.path), RECIPE)

    assert find_given_recipe(delivered) == GivenRecipe("狐の絵, a fox", "blurry", "flux-schnell", 5)
    picture = open_picture(delivered)
    assert picture.tobytes() == open_picture(plain).tobytes()
    software = picture.info["Software"] if kind == "PNG" else picture.getexif()[0x0131]
    comment = picture.info["parameters"] if kind == "PNG" else picture.getexif().get_ifd(0x8769)[0x9286]
    assert software == "Easel"
    assert comment in (RECIPE, b"UNICODE\0" + RECIPE.encode("utf-16-be"))
    assert b"Easel" not in plain
    given = await media.take_attachment(make_attachment(delivered))
    assert given.sha256 == kept.sha256
    await media.close()


@pytest.mark.parametrize("data", [encode_picture("GIF", mode="L"), b"\x89PNG", b"RIFF\4\0\0\0WEBP", b""])
def test_a_file_that_carries_no_recipe_stays_as_it_is(data: bytes) -> None:
    assert write_recipe(data, RECIPE, len(data)) == data


def test_a_recipe_that_does_not_fit_is_left_out() -> None:
    jpeg, png = encode_picture("JPEG"), encode_picture("PNG")

    assert write_recipe(jpeg, "x" * 40_000) == jpeg
    assert write_recipe(png, RECIPE, len(png)) == png


def test_numbers_out_of_their_form_are_left_out() -> None:
    text = "a fox\nSteps: many, CFG scale: 1e99, Seed: -1, Model: " + "m" * 300

    assert find_given_recipe(make_picture(parameters=text)) == GivenRecipe("a fox", model="m" * 80)


def test_entries_of_exif_that_each_name_the_whole_chunk_take_no_memory() -> None:
    entries = b"".join(struct.pack(">HHII", 0xC000 + n, 2, 4 << 20, 0) for n in range(400))
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">H", 400) + entries + bytes(4 << 20)
    picture = add_webp_exif(encode_with_exif("WEBP", {0x010E: "a boat"}, b""), exif)
    tracemalloc.start()

    found = find_given_recipe(picture)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found, peak_bytes < 8 * len(picture)) == (None, True)


async def test_given_files_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    media, is_open, readers = Media(tmp_path), asyncio.Event(), []

    async def read() -> bytes:
        readers.append(1)
        await is_open.wait()
        return make_picture()

    tasks = [
        asyncio.create_task(media.read_recipe(Attachment("a.png", "image/png", 100, read)))
        for _ in range(MAX_UPLOADS_IN_MEMORY + 3)
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    read_at_once = len(readers)
    is_open.set()
    await asyncio.gather(*tasks)
    await media.close()

    assert (read_at_once, len(readers)) == (MAX_UPLOADS_IN_MEMORY, MAX_UPLOADS_IN_MEMORY + 3)
