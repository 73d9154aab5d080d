"""Writes a model's inputs as requests of `/sdapi/v1`, and reads pictures and words of the replies."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bot.backends.a1111.client import decode_picture
from bot.core.errors import InputRefused, ModelFailed
from bot.core.json import JSON, as_object, get_text
from bot.core.models import FieldKind, Model, ModelSchema, OutputKind, SchemaField, Task

PICTURE_FIELDS = ("init_images", "mask", "image")
"""The fields that take a picture. The server opens addresses in such fields if the server's owner allowed addresses."""

INTERROGATORS = ("clip", "deepdanbooru")

# stable-diffusion.cpp reads options of the run from a tag within the prompt (its examples/server/api.md).
_OPTIONS_TAG = re.compile(r"</?\s*sd_cpp_extra_args\s*>", re.IGNORECASE)

_LARGE_MODEL = re.compile(r"xl|sd3|sd_?3|flux|pony|illustrious|noob|chroma|qwen", re.IGNORECASE)
_SMALL_SIDE_PIXELS, _LARGE_SIDE_PIXELS = 512, 1024
_MAX_SIDE_PIXELS = 2048
_HASH = re.compile(r" \[[0-9a-f]+\]$")


@dataclass(frozen=True, slots=True)
class A1111Request:
    """A run: the route after `/sdapi/v1/`, and the body."""

    route: str
    body: dict[str, JSON]

    @property
    def picture_count(self) -> int:
        """Return how many pictures the run makes."""
        counts = [self.body.get(name, 1) for name in ("batch_size", "n_iter")]
        batches, runs = (count if isinstance(count, int) and count > 0 else 1 for count in counts)
        return batches * runs


def make_request(model: Model, inputs: Mapping[str, JSON], run: str) -> A1111Request:
    """Return the request of a run; the model's task and the given pictures decide the route."""
    body = {name: _clean(value) for name, value in inputs.items()}
    if model.task is Task.UPSCALE:
        return A1111Request("extra-single-image", {"resize_mode": 0, "upscaler_1": model.ref, **body})
    if model.task is Task.CAPTION:
        return A1111Request("interrogate", {"model": model.ref, **body})
    # Forge keeps the checkpoint of the last run, and a person at the page may have chosen another: name ours each time.
    settings: dict[str, JSON] = {"sd_model_checkpoint": model.ref}
    fixed: dict[str, JSON] = {
        "override_settings": settings,
        "override_settings_restore_afterwards": False,  # restoring would load the other checkpoint after each run
        "send_images": True,
        "save_images": False,
        "force_task_id": run,
    }
    return A1111Request("img2img" if "init_images" in body else "txt2img", {**body, **fixed})


def encode_picture_field(name: str, contents: list[bytes]) -> JSON:
    """Return pictures for a field: a list for `init_images`, else one text of base64."""
    texts: list[JSON] = [base64.b64encode(content).decode() for content in contents]
    return texts if name == "init_images" else texts[0]


def read_pictures(request: A1111Request, reply: JSON) -> tuple[bytes, ...]:
    """Return the pictures of a reply, without a grid before them and pictures of scripts behind them."""
    fields = as_object(reply)
    found = fields.get("images")
    texts = found if isinstance(found, list) else [fields.get("image")]
    first = _read_first_index(get_text(reply, "info")) if len(texts) > request.picture_count else 0
    try:
        return tuple(
            decode_picture(text)
            for text in texts[first : first + request.picture_count]
            if isinstance(text, str) and text
        )
    except ValueError as error:
        raise ModelFailed("The model's server gave pictures that are not in base64.") from error


def _read_first_index(info: str) -> int:
    """Return the place of the first picture: 1 behind a grid. `info` is JSON as a text, at sd.cpp an empty text."""
    try:
        index = as_object(json.loads(info)).get("index_of_first_image")
    except ValueError:
        return 0
    return index if isinstance(index, int) and index > 0 else 0


def _clean(value: JSON) -> JSON:
    return _OPTIONS_TAG.sub("", value) if isinstance(value, str) else value


def find_name(ref: str, names: list[str]) -> str:
    """Return the server's name for a `ref` with or without the hash behind the name; empty for an unknown name."""
    return next((name for name in names if ref in (name, _HASH.sub("", name))), "")


def check_is_offered(service: str, what: str, ref: str, names: list[str]) -> None:
    """Raise `InputRefused` for an unknown name: the server would silently take another."""
    if not find_name(ref, names):
        raise InputRefused(f"{service} does not have the {what} {ref}. My owner has to install it or name another.")


def describe_checkpoint(backend: str, ref: str, samplers: list[str]) -> ModelSchema:
    """Return the inputs of txt2img and img2img for a checkpoint; no server publishes the best size of a checkpoint."""
    side = _LARGE_SIDE_PIXELS if _LARGE_MODEL.search(ref) else _SMALL_SIDE_PIXELS
    return _make_schema(
        backend,
        ref,
        OutputKind.PICTURES,
        SchemaField("prompt", frozenset({FieldKind.TEXT}), is_required=True),
        SchemaField("negative_prompt", frozenset({FieldKind.TEXT})),
        _number("width", 64, _MAX_SIDE_PIXELS, side),
        _number("height", 64, _MAX_SIDE_PIXELS, side),
        _number("batch_size", 1, 8, 1),
        _number("steps", 1, 150, 20),
        _number("cfg_scale", 1, 30, 7, kind=FieldKind.NUMBER),
        _number("seed", 0, 2**32 - 1, None),
        SchemaField("sampler_name", frozenset({FieldKind.TEXT}), choices=tuple(samplers)),
        SchemaField("init_images", frozenset({FieldKind.FILE})),  # a list with one picture: more would be a batch
        _number("denoising_strength", 0, 1, 0.75, kind=FieldKind.NUMBER),
        SchemaField("mask", frozenset({FieldKind.FILE})),
    )


def describe_upscaler(backend: str, ref: str) -> ModelSchema:
    """Return the inputs of extra-single-image."""
    return _make_schema(
        backend,
        ref,
        OutputKind.PICTURES,
        SchemaField("image", frozenset({FieldKind.FILE}), is_required=True),
        _number("upscaling_resize", 1, 8, 4, kind=FieldKind.NUMBER),
        _number("gfpgan_visibility", 0, 1, 0, kind=FieldKind.NUMBER),
        _number("codeformer_visibility", 0, 1, 0, kind=FieldKind.NUMBER),
        _number("codeformer_weight", 0, 1, 0, kind=FieldKind.NUMBER),
    )


def describe_interrogator(backend: str, ref: str) -> ModelSchema:
    """Return the inputs of interrogate."""
    return _make_schema(
        backend, ref, OutputKind.TEXT, SchemaField("image", frozenset({FieldKind.FILE}), is_required=True)
    )


def _make_schema(backend: str, ref: str, output: OutputKind, *fields: SchemaField) -> ModelSchema:
    return ModelSchema(
        ref=ref,
        version="",
        newest_version="",
        is_official=True,
        fields=fields,
        output=output,
        backend=backend,
        page=backend,
    )


def _number(
    name: str, minimum: float, maximum: float, default: float | None, *, kind: FieldKind = FieldKind.INTEGER
) -> SchemaField:
    return SchemaField(name, frozenset({kind}), minimum=minimum, maximum=maximum, default=default)
