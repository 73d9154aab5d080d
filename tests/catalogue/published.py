"""A published model for these tests, and entries of the catalogue beside it."""

from typing import Any

from bot.catalogue.loading import read
from bot.core.models import Model, OutputKind
from bot.core.published import FieldKind, Published, PublishedField

PIN, NEWER = "1" * 64, "2" * 64
PRICE = {"usd_per_image": "0.01", "source": "a page", "read_on": "today"}


def field(name: str, *kinds: FieldKind, **more: Any) -> PublishedField:
    return PublishedField(name, frozenset(kinds or (FieldKind.TEXT,)), **more)


FOX = Published(
    ref="acme/fox",
    version=PIN,
    newest_version=PIN,
    is_official=True,
    fields=(
        field("prompt", is_required=True, max_length=500),
        field("aspect_ratio", choices=("1:1", "16:9")),
        field("num_outputs", FieldKind.INTEGER, minimum=1, maximum=4),
        field("image", FieldKind.FILE),
        field("pages", FieldKind.FILES),
        field("size", FieldKind.INTEGER, choices=(512, 1024)),
        field("samples", choices=("1", "4")),
        field("go_fast", FieldKind.BOOLEAN),
        field("width", FieldKind.INTEGER, minimum=64, maximum=1024),
    ),
    output=OutputKind.PICTURES,
)


def entry(inputs: dict[str, Any] | None = None, **more: Any) -> Model:
    """An entry for the fox that fits it, but for what is given."""
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
    return read("fox", table | more)
