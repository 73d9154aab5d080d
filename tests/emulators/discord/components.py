"""Validates and renders components: discord.com/developers/docs/components/reference."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    DiscordAttachmentState,
    walk_components,
)
from tests.emulators.discord.state import Json
from tests.specs.discord_schemas import DiscordViolation, JsonPath

MAX_COMPONENTS = 40
MAX_TEXT_LENGTH = 4000
MAX_ROWS = 5
MAX_BUTTONS_PER_ROW = 5
LINK, PREMIUM = 5, 6
ATTACHMENT_SCHEME = "attachment://"


def validate_components(
    components: list[Json], *, is_v2: bool, filenames: Collection[str]
) -> Iterator[DiscordViolation]:
    """Yield violations. `filenames` are the files that an `attachment://` URL may name."""
    top: JsonPath = ("components",)
    nodes = list(_walk_with_paths(components, top))
    yield from _validate_whole(components, [node for _, node in nodes], top, is_v2=is_v2)
    for path, node in nodes:
        yield from _validate_node(node, path)
        for address in _list_urls(node):
            if address.startswith(ATTACHMENT_SCHEME) and address.removeprefix(ATTACHMENT_SCHEME) not in filenames:
                yield DiscordViolation(path, "REFERENCED_ATTACHMENT_NOT_FOUND", f"{address} is no file of this message")


def _validate_whole(
    components: list[Json], nodes: list[Json], top: JsonPath, *, is_v2: bool
) -> Iterator[DiscordViolation]:
    if not is_v2:
        if any(node["type"] != ROW for node in components):
            yield DiscordViolation(
                top, "UNION_TYPE_CHOICES", "only rows stand at the top without the components V2 flag"
            )
        if len(components) > MAX_ROWS:
            yield DiscordViolation(top, "BASE_TYPE_MAX_LENGTH", f"{len(components)} rows, at most {MAX_ROWS} allowed")
    if len(nodes) > MAX_COMPONENTS:
        message = f"{len(nodes)} components, at most {MAX_COMPONENTS} allowed"
        yield DiscordViolation(top, "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", message)
    length = sum(len(node.get("content") or "") for node in nodes if node["type"] == TEXT_DISPLAY)
    if length > MAX_TEXT_LENGTH:
        message = f"{length} characters of text, at most {MAX_TEXT_LENGTH} allowed"
        yield DiscordViolation(top, "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", message)
    yield from _find_duplicates(nodes, "custom_id", top)
    yield from _find_duplicates([node for node in nodes if node.get("id")], "id", top)


def _find_duplicates(nodes: list[Json], name: str, top: JsonPath) -> Iterator[DiscordViolation]:
    counts = Counter(node[name] for node in nodes if node.get(name) is not None)
    for value in (value for value, times in counts.items() if times > 1):
        yield DiscordViolation(top, f"COMPONENT_{name.upper()}_DUPLICATED", f"{name} {value} appears twice")


def _validate_node(node: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    kind = node["type"]
    if kind == ROW:
        yield from _validate_row(node, path)
    elif kind == BUTTON:
        yield from _validate_button(node, path)
    elif kind in SELECTS:
        yield from _validate_select(node, path)
    elif kind == SECTION and not node.get("accessory"):
        yield DiscordViolation((*path, "accessory"), "BASE_TYPE_REQUIRED", "a section needs an accessory")
    elif kind == TEXT_DISPLAY and not (node.get("content") or "").strip():
        yield DiscordViolation((*path, "content"), "BASE_TYPE_REQUIRED", "a text display needs text")


def _validate_row(row: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    children = [child["type"] for child in row.get("components", ())]
    buttons = children.count(BUTTON)
    if buttons > MAX_BUTTONS_PER_ROW:
        message = f"{buttons} buttons in a row, at most {MAX_BUTTONS_PER_ROW} allowed"
        yield DiscordViolation((*path, "components"), "BASE_TYPE_BAD_LENGTH", message)
    if any(child in SELECTS for child in children) and len(children) > 1:
        yield DiscordViolation((*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "a select fills its row")


def _validate_button(button: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    style = button.get("style")
    if style == LINK:
        if not button.get("url") or button.get("custom_id"):
            yield DiscordViolation(path, "BUTTON_COMPONENT_LINK", "a link button has a url and no custom_id")
    elif style != PREMIUM:
        if not button.get("custom_id"):
            yield DiscordViolation(
                (*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", "a custom id is required"
            )
        if button.get("url"):
            yield DiscordViolation((*path, "url"), "BUTTON_COMPONENT_INVALID_URL", "only link buttons have a url")
    if not button.get("label") and not button.get("emoji") and style != PREMIUM:
        yield DiscordViolation(path, "BUTTON_COMPONENT_INVALID_EMOJI", "a button needs a label or an emoji")


def _validate_select(select: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    options = select.get("options") or []
    if select["type"] == STRING_SELECT:
        values = [option.get("value") for option in options]
        if len(set(values)) < len(values):
            yield DiscordViolation(
                (*path, "options"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "a value appears twice"
            )
        if (select.get("max_values") or 1) > len(options):
            yield DiscordViolation(
                (*path, "max_values"), "BASE_TYPE_MAX_LENGTH", "more values wanted than there are options"
            )


def _walk_with_paths(components: list[Json], top: JsonPath) -> Iterator[tuple[JsonPath, Json]]:
    for number, node in enumerate(components):
        path = (*top, number)
        yield path, node
        yield from _walk_with_paths(node.get("components") or [], (*path, "components"))
        for name in ("component", "accessory"):
            if node.get(name):
                yield (*path, name), node[name]


def _list_urls(node: Json) -> list[str]:
    media: list[Any] = [item.get("media") for item in node.get("items") or ()] if node["type"] == GALLERY else []
    if node["type"] == THUMBNAIL:
        media = [node.get("media")]
    if node["type"] == FILE:
        media = [node.get("file")]
    return [entry["url"] for entry in media if entry and entry.get("url")]


def list_shown_urls(components: list[Json]) -> set[str]:
    """Return all URLs in galleries, thumbnails and file components."""
    return {address for node in walk_components(components) for address in _list_urls(node)}


def validate_modal(modal: Json) -> Iterator[DiscordViolation]:
    """Yield violations: at most five rows, custom ids unique, values within the fields' limits."""
    top: JsonPath = ("data", "components")
    rows = modal.get("components") or []
    if len(rows) > MAX_ROWS:
        yield DiscordViolation(top, "BASE_TYPE_BAD_LENGTH", f"{len(rows)} rows, at most {MAX_ROWS} allowed")
    nodes = [node for _, node in _walk_with_paths(rows, top)]
    yield from _find_duplicates(nodes, "custom_id", top)
    for path, node in _walk_with_paths(rows, top):
        if node["type"] in SELECTS:
            yield from _validate_select(node, path)
        if node["type"] == 4:
            yield from _validate_text_input(node, path)


def _validate_text_input(field: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    value, maximum = field.get("value") or "", field.get("max_length") or 4000
    if len(value) > maximum:
        yield DiscordViolation(
            (*path, "value"), "BASE_TYPE_MAX_LENGTH", f"{len(value)} characters, at most {maximum} allowed"
        )
    if value and len(value) < (field.get("min_length") or 0):
        yield DiscordViolation((*path, "value"), "BASE_TYPE_MIN_LENGTH", f"{len(value)} characters are too few")


CONTAINER, SEPARATOR = 17, 14

_DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    CONTAINER: {"accent_color": None, "spoiler": False},
    SEPARATOR: {"spacing": 1, "divider": True},
    THUMBNAIL: {"description": None, "spoiler": False},
    FILE: {"spoiler": False},
    BUTTON: {"disabled": False},
    **{kind: {"min_values": 1, "max_values": 1, "disabled": False} for kind in SELECTS},
}
_ITEM_DEFAULTS = {"description": None, "spoiler": False}


def render_components(components: Sequence[Json], attachments: Sequence[DiscordAttachmentState]) -> list[Json]:
    """Return a copy of a request's components as responses show them: defaults, ids and file URLs filled in."""
    copies = [_render_component(node, attachments) for node in components]
    taken = {node.get("id") for node in walk_components(copies)}
    fresh = (number for number in range(1, 1000) if number not in taken)
    for node in walk_components(copies):
        node["id"] = node.get("id") or next(fresh)
    return copies


def _render_component(node: Json, attachments: Sequence[DiscordAttachmentState]) -> Json:
    sent = {name: value for name, value in node.items() if value is not None}
    copy = {**_DEFAULTS.get(node["type"], {}), **sent}
    if node["type"] == GALLERY:
        copy["items"] = [
            _ITEM_DEFAULTS | item | {"media": _render_media(item["media"], attachments)} for item in node["items"]
        ]
    if node["type"] == THUMBNAIL:
        copy["media"] = _render_media(node["media"], attachments)
    if node["type"] == FILE:
        copy["file"] = _render_media(node["file"], attachments)
        found = _find_attachment(node["file"]["url"], attachments)
        copy |= {"name": found.filename, "size": len(found.data)} if found else {"name": "", "size": 0}
    if sent.get("components"):
        copy["components"] = [_render_component(child, attachments) for child in node["components"]]
    if sent.get("accessory"):
        copy["accessory"] = _render_component(node["accessory"], attachments)
    return copy


def _render_media(media: Json, attachments: Sequence[DiscordAttachmentState]) -> Json:
    url = media["url"]
    found = _find_attachment(url, attachments)
    if found is None:
        return {"id": str(zlib.crc32(url.encode())), "url": url, "proxy_url": url, "width": None, "height": None}
    width, height = found.size_in_pixels or (None, None)
    address = {"id": str(found.id), "url": found.url, "proxy_url": found.url, "attachment_id": str(found.id)}
    return {**address, "width": width, "height": height, "content_type": found.content_type}


def _find_attachment(url: str, attachments: Sequence[DiscordAttachmentState]) -> DiscordAttachmentState | None:
    """Return the file of an `attachment://name` reference or of a CDN URL; None for a URL elsewhere."""
    if url.startswith(ATTACHMENT_SCHEME):
        return next(
            attachment for attachment in attachments if attachment.filename == url.removeprefix(ATTACHMENT_SCHEME)
        )
    return next((attachment for attachment in attachments if attachment.url == url), None)
