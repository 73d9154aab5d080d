"""A published model, catalogue entries that fit the model, and the built-in catalogue with changes."""

import re
from pathlib import Path
from typing import Any

from bot.catalogue.loading import BUILT_IN_PATH, parse_model
from bot.core.models import FieldKind, Model, ModelSchema, OutputKind, SchemaField

PIN, NEWER = "1" * 64, "2" * 64
PRICE = {"tiers": [{"per": "image_output_count", "usd": "0.01"}], "source": "a page", "read_on": "today"}


def make_field(name: str, *kinds: FieldKind, **more: Any) -> SchemaField:
    return SchemaField(name, frozenset(kinds or (FieldKind.TEXT,)), **more)


FOX = ModelSchema(
    ref="acme/fox",
    version=PIN,
    newest_version=PIN,
    is_official=True,
    fields=(
        make_field("prompt", is_required=True, max_length=500),
        make_field("aspect_ratio", choices=("1:1", "16:9")),
        make_field("num_outputs", FieldKind.INTEGER, minimum=1, maximum=4),
        make_field("image", FieldKind.FILE),
        make_field("pages", FieldKind.FILES),
        make_field("size", FieldKind.INTEGER, choices=(512, 1024)),
        make_field("samples", choices=("1", "4")),
        make_field("go_fast", FieldKind.BOOLEAN),
        make_field("width", FieldKind.INTEGER, minimum=64, maximum=1024),
    ),
    output=OutputKind.PICTURES,
)


def make_entry(inputs: dict[str, Any] | None = None, **more: Any) -> Model:
    """Return an entry that fits `FOX`, with other inputs and keys as given."""
    table: dict[str, Any] = {
        "title": "Fox",
        "task": "imagine",
        "ref": "acme/fox",
        "output": "pictures",
        "usual_seconds": 1,
        "max_seconds": 10,
        "price": PRICE,
        "inputs": {"prompt": {"to": "prompt", "max_length": 500}, **(inputs or {})},
    }
    return parse_model("fox", table | more)


def write_catalogue(folder: Path, **changes: str) -> Path:
    """Write the built-in catalogue with changes into a folder; return the path."""
    path = folder / "models.toml"
    path.write_text(read_catalogue(**changes), encoding="utf-8")
    return path


def write_catalogue_of_small_pictures(folder: Path) -> Path:
    """Write the built-in catalogue with a quarter of the pixels for /imagine: the sandbox paints four times as fast."""
    path, entry = folder / "small_pictures.toml", "fixed = { go_fast = true }\n[flux-schnell.inputs]"
    text = read_catalogue(default="flux-schnell")
    assert entry in text
    path.write_text(text.replace(entry, entry.replace("true", 'true, megapixels = "0.25"')), encoding="utf-8")
    return path


def read_catalogue(*, default: str = "", without: str = "") -> str:
    """Return the text of the built-in catalogue without a model, or with another model as the task's default."""
    text, moved = BUILT_IN_PATH.read_text("utf-8"), without or default
    pattern = re.compile(rf"^\[{moved}[].].*?(?=^\[(?!{moved}[].])|\Z)", re.MULTILINE | re.DOTALL)
    table = pattern.search(text)
    assert table is not None
    rest = pattern.sub("", text)
    return rest if without else f"{table[0]}\n{rest}"


def names_servers(catalogue: Path | None) -> bool:
    """Whether a catalogue describes servers of its own, which answer in the place of a scripted backend."""
    return catalogue is not None and "[backends." in catalogue.read_text(encoding="utf-8")
