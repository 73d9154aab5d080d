"""What Discord asks of components beyond their shapes: discord.com/developers/docs/components/reference."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from tests.emulators.discord.messages import (
    BUTTON,
    FILE,
    GALLERY,
    ROW,
    SECTION,
    SELECTS,
    STRING_SELECT,
    TEXT_DISPLAY,
    THUMBNAIL,
    walk,
)
from tests.emulators.discord.world import Json
from tests.specs.discord import Fault, Place

MOST_COMPONENTS = 40
MOST_TEXT = 4000
MOST_ROWS = 5
MOST_BUTTONS_OF_A_ROW = 5
LINK, PREMIUM = 5, 6
SCHEME = "attachment://"


def component_faults(components: list[Json], *, is_v2: bool, filenames: Collection[str]) -> Iterator[Fault]:
    """`filenames` are those that `attachment://` may name."""
    top: Place = ("components",)
    nodes = list(_placed(components, top))
    yield from _whole_faults(components, [node for _, node in nodes], top, is_v2=is_v2)
    for place, node in nodes:
        yield from _node_faults(node, place)
        for address in _addresses(node):
            if address.startswith(SCHEME) and address.removeprefix(SCHEME) not in filenames:
                yield Fault(place, "REFERENCED_ATTACHMENT_NOT_FOUND", f"{address} is no file of this message")


def _whole_faults(components: list[Json], nodes: list[Json], top: Place, *, is_v2: bool) -> Iterator[Fault]:
    if not is_v2:
        if any(node["type"] != ROW for node in components):
            yield Fault(top, "UNION_TYPE_CHOICES", "only rows stand at the top without the components V2 flag")
        if len(components) > MOST_ROWS:
            yield Fault(top, "BASE_TYPE_MAX_LENGTH", f"{len(components)} rows, at most {MOST_ROWS} allowed")
    if len(nodes) > MOST_COMPONENTS:
        sentence = f"{len(nodes)} components, at most {MOST_COMPONENTS} allowed"
        yield Fault(top, "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", sentence)
    length = sum(len(node.get("content") or "") for node in nodes if node["type"] == TEXT_DISPLAY)
    if length > MOST_TEXT:
        sentence = f"{length} characters of text, at most {MOST_TEXT} allowed"
        yield Fault(top, "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", sentence)
    yield from _doubles(nodes, "custom_id", top)
    yield from _doubles([node for node in nodes if node.get("id")], "id", top)


def _doubles(nodes: list[Json], name: str, top: Place) -> Iterator[Fault]:
    counted = Counter(node[name] for node in nodes if node.get(name) is not None)
    for value in (value for value, times in counted.items() if times > 1):
        yield Fault(top, f"COMPONENT_{name.upper()}_DUPLICATED", f"{name} {value} appears twice")


def _node_faults(node: Json, place: Place) -> Iterator[Fault]:
    kind = node["type"]
    if kind == ROW:
        yield from _row_faults(node, place)
    elif kind == BUTTON:
        yield from _button_faults(node, place)
    elif kind in SELECTS:
        yield from _select_faults(node, place)
    elif kind == SECTION and not node.get("accessory"):
        yield Fault((*place, "accessory"), "BASE_TYPE_REQUIRED", "a section needs an accessory")
    elif kind == TEXT_DISPLAY and not (node.get("content") or "").strip():
        yield Fault((*place, "content"), "BASE_TYPE_REQUIRED", "a text display needs text")


def _row_faults(row: Json, place: Place) -> Iterator[Fault]:
    children = [child["type"] for child in row.get("components", ())]
    buttons = children.count(BUTTON)
    if buttons > MOST_BUTTONS_OF_A_ROW:
        sentence = f"{buttons} buttons in a row, at most {MOST_BUTTONS_OF_A_ROW} allowed"
        yield Fault((*place, "components"), "BASE_TYPE_BAD_LENGTH", sentence)
    if any(child in SELECTS for child in children) and len(children) > 1:
        yield Fault((*place, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "a select fills its row")


def _button_faults(button: Json, place: Place) -> Iterator[Fault]:
    style = button.get("style")
    if style == LINK:
        if not button.get("url") or button.get("custom_id"):
            yield Fault(place, "BUTTON_COMPONENT_LINK", "a link button has a url and no custom_id")
    elif style != PREMIUM:
        if not button.get("custom_id"):
            yield Fault((*place, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", "a custom id is required")
        if button.get("url"):
            yield Fault((*place, "url"), "BUTTON_COMPONENT_INVALID_URL", "only link buttons have a url")
    if not button.get("label") and not button.get("emoji") and style != PREMIUM:
        yield Fault(place, "BUTTON_COMPONENT_INVALID_EMOJI", "a button needs a label or an emoji")


def _select_faults(select: Json, place: Place) -> Iterator[Fault]:
    options = select.get("options") or []
    if select["type"] == STRING_SELECT:
        values = [option.get("value") for option in options]
        if len(set(values)) < len(values):
            yield Fault((*place, "options"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "a value appears twice")
        if (select.get("max_values") or 1) > len(options):
            yield Fault((*place, "max_values"), "BASE_TYPE_MAX_LENGTH", "more values wanted than there are options")


def _placed(components: list[Json], top: Place) -> Iterator[tuple[Place, Json]]:
    for number, node in enumerate(components):
        place = (*top, number)
        yield place, node
        yield from _placed(node.get("components") or [], (*place, "components"))
        for name in ("component", "accessory"):
            if node.get(name):
                yield (*place, name), node[name]


def _addresses(node: Json) -> list[str]:
    media: list[Any] = [item.get("media") for item in node.get("items") or ()] if node["type"] == GALLERY else []
    if node["type"] == THUMBNAIL:
        media = [node.get("media")]
    if node["type"] == FILE:
        media = [node.get("file")]
    return [entry["url"] for entry in media if entry and entry.get("url")]


def shown_addresses(components: list[Json]) -> set[str]:
    """Every address that galleries, thumbnails and file components show."""
    return {address for node in walk(components) for address in _addresses(node)}


def modal_faults(modal: Json) -> Iterator[Fault]:
    """A form has one to five rows, each with a name of its own."""
    top: Place = ("data", "components")
    rows = modal.get("components") or []
    if len(rows) > MOST_ROWS:
        yield Fault(top, "BASE_TYPE_BAD_LENGTH", f"{len(rows)} rows, at most {MOST_ROWS} allowed")
    nodes = [node for _, node in _placed(rows, top)]
    yield from _doubles(nodes, "custom_id", top)
    for place, node in _placed(rows, top):
        if node["type"] in SELECTS:
            yield from _select_faults(node, place)
        if node["type"] == 4:
            yield from _text_input_faults(node, place)


def _text_input_faults(field: Json, place: Place) -> Iterator[Fault]:
    value, most = field.get("value") or "", field.get("max_length") or 4000
    if len(value) > most:
        yield Fault((*place, "value"), "BASE_TYPE_MAX_LENGTH", f"{len(value)} characters, at most {most} allowed")
    if value and len(value) < (field.get("min_length") or 0):
        yield Fault((*place, "value"), "BASE_TYPE_MIN_LENGTH", f"{len(value)} characters are too few")
