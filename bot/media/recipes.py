"""Recipes in picture files: the workflow of ComfyUI, and what people's files say about how they were made.

A workflow stays in a file where a workspace wants files that ComfyUI can open. A recipe in a person's file is the claim
of a stranger: bounded, read without trust, and never kept with the picture.
"""

import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import BadFile
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.limits import MAX_RECIPE_BYTES
from bot.core.workflows import Workflow, parse_workflow
from bot.media.decoding import detect_kind
from bot.media.stripping import (
    Buffer,
    add_webp_exif,
    iterate_png_chunks,
    make_exif,
    make_png_chunk,
    read_exif_texts,
)

_KEYWORD = b"prompt"
_HEADER_END = 8 + 25
"""The end of a PNG's signature and of its first chunk."""
_PNG_TEXTS, _MAX_KEYWORD_BYTES = (b"tEXt", b"zTXt", b"iTXt"), 79
_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_SOFTWARE = "Easel"


def read_recipe(data: Buffer) -> Workflow | None:
    """Return the workflow in a PNG's text, None without one, and for any other text."""
    with suppress(BadFile, struct.error, ValueError, RecursionError):
        for name, content in iterate_png_chunks(memoryview(data)):
            keyword, _, text = bytes(content[: MAX_RECIPE_BYTES + len(_KEYWORD) + 1]).partition(b"\0")
            if name == b"tEXt" and keyword == _KEYWORD and len(text) <= MAX_RECIPE_BYTES:
                return parse_workflow(json.loads(text.decode("latin-1")), "the file")
    return None


def add_recipe(png: bytes, recipe: Workflow) -> bytes:
    """Return a cleaned PNG with a workflow, written anew: no other words of the server's file come along."""
    text = json.dumps(recipe).encode("ascii")
    return png[:_HEADER_END] + b"".join(make_png_chunk(b"tEXt", _KEYWORD + b"\0" + text)) + png[_HEADER_END:]


@dataclass(frozen=True, slots=True)
class GivenRecipe:
    """The words, the model and the settings that a file claims; empty or None where the file says nothing."""

    prompt: str
    negative: str = ""
    model: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None


_MAX_LINKS = 20
"""Nodes between a sampler of ComfyUI and its words; a chain of more, or a ring, ends there."""
_PASSED_ON = ("conditioning", "positive", "conditioning_1", "text")
_MAX_NAME_CHARACTERS = 80
_COMFYUI_MARK = "prompt:"
# "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Model: xl" (AUTOMATIC1111's infotext).
_SETTING = re.compile(r"(Steps|CFG scale|Seed|Model): ([^,\n]{1,200})")
_SETTINGS_LINE = re.compile(r"\n(?=(?:Steps|Seed|Size|Model): )")
"""The start of the last line; files of this bot begin with the first setting that a model has."""
_NEGATIVE = "Negative prompt:"


def format_recipe(prompt: str, negative: str, settings: Mapping[str, object]) -> str:
    """Return A1111's text of a recipe: words, negative words, and a last line of the settings that are known."""
    facts = ", ".join(f"{name}: {value}" for name, value in settings.items() if value not in (None, ""))
    parts = (prompt, f"{_NEGATIVE} {negative}" if negative else "", facts)
    return "\n".join(filter(None, parts)).replace("\0", "")  # the end of a text in PNG


def load_with_recipe(path: Path, recipe: str, max_bytes: int | None = None) -> bytes:
    """Return a kept picture for its delivery, with a recipe where the file has room. Blocks.

    Raise `FileNotFoundError`. The kept file stays without words: the same picture given again is known by its bytes.
    """
    return write_recipe(path.read_bytes(), recipe, max_bytes)


def write_recipe(data: bytes, recipe: str, max_bytes: int | None = None) -> bytes:
    """Return a cleaned picture with a recipe, no pixel changed.

    A picture of a format without texts, and a picture that would exceed `max_bytes`, stay as they are.
    """
    if not recipe:
        return data
    written = data
    with suppress(BadFile, struct.error, IndexError, ValueError):
        if data.startswith(_PNG_START):
            written = _write_png_texts(data, recipe)
        elif data.startswith(_JPEG_START):
            written = _write_jpeg_exif(data, make_exif(recipe, _SOFTWARE))
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            written = add_webp_exif(data, make_exif(recipe, _SOFTWARE))
    return data if max_bytes is not None and len(written) > max_bytes else written


def _write_png_texts(data: bytes, recipe: str) -> bytes:
    try:
        name, text = b"tEXt", b"parameters\0" + recipe.encode("latin-1")
    except UnicodeEncodeError:
        name, text = b"iTXt", b"parameters\0\0\0\0\0" + recipe.encode("utf-8", "replace")
    chunks = (*make_png_chunk(b"tEXt", f"Software\0{_SOFTWARE}".encode()), *make_png_chunk(name, text))
    return data[:_HEADER_END] + b"".join(chunks) + data[_HEADER_END:]


def _write_jpeg_exif(data: bytes, exif: bytes) -> bytes:
    """Return the JPEG with EXIF behind the segment of JFIF, which readers expect first."""
    start = 4 + struct.unpack_from(">H", data, 4)[0] if data[2:4] == b"\xff\xe0" else 2
    head = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0"  # `struct.error` beyond 64 kB
    return data[:start] + head + exif + data[start:]


def find_given_recipe(data: bytes) -> GivenRecipe | None:
    """Return the recipe in a PNG, JPEG or WebP by A1111 or ComfyUI; None without one, and for a broken file."""
    with suppress(BadFile, struct.error, IndexError, ValueError, RecursionError, zlib.error):
        kind = detect_kind(data)
        for keyword, text in _iterate_texts(data, kind):
            if keyword == "prompt":
                recipe = _read_graph(parse_workflow(json.loads(text), "the file"))
            else:
                recipe = _read_parameters(text)
            if recipe is not None and recipe.prompt:
                return recipe
    return None


def _iterate_texts(data: bytes, kind: str) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of each text that may hold a recipe: `parameters` of A1111, `prompt` of ComfyUI."""
    if kind != "PNG":
        for text in read_exif_texts(data, kind):
            is_graph = text.startswith(_COMFYUI_MARK)
            if len(text) <= MAX_RECIPE_BYTES:
                yield ("prompt", text.removeprefix(_COMFYUI_MARK)) if is_graph else ("parameters", text)
        return
    left_bytes = MAX_RECIPE_BYTES
    for name, content in iterate_png_chunks(memoryview(data)):
        keyword = bytes(content[: _MAX_KEYWORD_BYTES + 1]).partition(b"\0")[0]
        # The keyword first: a file may hold any number of texts that unpack to a megabyte each.
        if name in _PNG_TEXTS and keyword in (b"parameters", b"prompt") and len(content) <= left_bytes:
            text = _read_png_text(name, bytes(content[len(keyword) + 1 :]), left_bytes)
            left_bytes -= len(text)
            yield keyword.decode(), text


def _read_png_text(name: bytes, content: bytes, max_bytes: int) -> str:
    """Return the text of a chunk (www.w3.org/TR/png-3, 11.3.3). Raise `ValueError` or `zlib.error`."""
    if name == b"tEXt":
        return content.decode("latin-1")
    if name == b"zTXt":
        return _unpack(content[1:], max_bytes).decode("latin-1")
    is_packed, (_language, _translated, text) = content[:1] == b"\1", content[2:].split(b"\0", 2)
    return (_unpack(text, max_bytes) if is_packed else text).decode("utf-8")


def _unpack(packed: bytes, max_bytes: int) -> bytes:
    return zlib.decompressobj().decompress(packed, max(1, max_bytes))  # 0 would mean no bound


def _read_parameters(text: str) -> GivenRecipe | None:
    """Return the recipe in A1111's text: words, negative words, and a last line of settings."""
    text = text.strip()
    *_, start = (-1, *(match.start() for match in _SETTINGS_LINE.finditer(text)))
    if start < 0:
        return None
    prompt, _, negative = text[:start].partition(_NEGATIVE)
    settings = dict(_SETTING.findall(text[start:]))
    return GivenRecipe(
        prompt.strip(),
        negative.strip(),
        settings.get("Model", "").strip()[:_MAX_NAME_CHARACTERS],
        _read_whole(settings.get("Seed")),
        _read_whole(settings.get("Steps")),
        _read_number(settings.get("CFG scale")),
    )


def _read_graph(nodes: Workflow) -> GivenRecipe | None:
    """Return the recipe in a workflow of ComfyUI: of the first node that samples, with the words that it links to."""
    inputs = [get_object(node, "inputs") for node in nodes.values()]
    sampler = next((given for given in inputs if "positive" in given and "negative" in given), None)
    if sampler is None:
        return None
    names = (given.get(name) for given in inputs for name in ("ckpt_name", "unet_name"))
    seed = sampler.get("seed", sampler.get("noise_seed"))
    return GivenRecipe(
        _follow_words(nodes, sampler["positive"]),
        _follow_words(nodes, sampler["negative"]),
        next((name for name in names if isinstance(name, str)), "")[:_MAX_NAME_CHARACTERS],
        _read_whole(seed),
        _read_whole(sampler.get("steps")),
        _read_number(sampler.get("cfg")),
    )


def _follow_words(nodes: Workflow, link: JSON) -> str:
    """Return the text of the node behind a link `[node, slot]`, through nodes that only pass conditioning on."""
    for _ in range(_MAX_LINKS):
        if not isinstance(link, list) or not link:
            return ""
        inputs = get_object(as_object(nodes.get(str(link[0]))), "inputs")
        if text := get_text(inputs, "text"):
            return text.strip()
        link = next((inputs[name] for name in _PASSED_ON if name in inputs), None)
    return ""


def _read_whole(value: object) -> int | None:
    number = _read_number(value)
    return int(str(value)) if number is not None and re.fullmatch(r"\d{1,18}", str(value).strip()) else None


def _read_number(value: object) -> float | None:
    text = str(value).strip()
    return float(text) if re.fullmatch(r"\d{1,18}(?:\.\d{1,18})?", text) else None
