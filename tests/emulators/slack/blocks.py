"""Block Kit's limits: docs.slack.dev/reference/block-kit. Gives sentences like Slack's, with a JSON pointer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.elements import element_faults
from tests.emulators.slack.texts import PLAIN, TEXT, text_faults

if TYPE_CHECKING:
    from tests.emulators.slack.workspace import Team

Json = dict[str, Any]

BLOCKS = {"message": 50, "modal": 100, "home": 100}
MARKDOWN_CHARACTERS = 12_000
ALT_TEXT = 2000
PICTURES = ("png", "jpg", "jpeg", "gif")

_FIELDS: dict[str, set[str]] = {
    "actions": {"elements"},
    "alert": {"text", "level"},
    "card": {"title", "subtitle", "body", "subtext", "icon", "hero_image", "actions"},
    "carousel": {"elements"},
    "container": {"title", "subtitle", "icon", "width", "child_blocks", "is_collapsible", "default_collapsed"},
    "context": {"elements"},
    "context_actions": {"elements"},
    "divider": set(),
    "file": {"external_id", "source"},
    "header": {"text", "level"},
    "image": {"image_url", "slack_file", "alt_text", "title"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
    "markdown": {"text"},
    "plan": {"title", "tasks"},
    "rich_text": {"elements"},
    "section": {"text", "fields", "accessory", "expand"},
    "table": {"rows", "column_settings"},
    "task_card": {"task_id", "title", "status", "details", "output", "sources"},
    "video": {"alt_text", "title", "thumbnail_url", "video_url", "author_name", "description", "provider_name"},
}
_ELEMENT_COUNTS = {"actions": 25, "context": 10, "context_actions": 5}


def block_faults(blocks: Any, team: "Team", surface: str) -> list[str]:
    """What Slack would have against these blocks on a `message`, a `modal` or at `home`."""
    if not isinstance(blocks, list):
        return ["must be a list [json-pointer:/blocks]"]
    return list(_blocks_faults(blocks, team, surface))


def block_text_length(blocks: list[Json]) -> int:
    """Characters of all texts, of which Slack takes some 13,200 in a message."""
    return sum(_text_length(block) for block in blocks)


def _blocks_faults(blocks: list[Any], team: "Team", surface: str) -> Iterator[str]:
    if len(blocks) > BLOCKS[surface]:
        yield f"no more than {BLOCKS[surface]} items allowed [json-pointer:/blocks]"
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and "block_id" in block]
    yield from (f"block_id already exists: {id_}" for id_ in {id_ for id_ in ids if ids.count(id_) > 1})
    markdown = sum(len(block.get("text", "")) for block in blocks if _kind(block) == "markdown")
    if markdown > MARKDOWN_CHARACTERS:
        yield f"markdown texts together must be less than {MARKDOWN_CHARACTERS + 1} characters [json-pointer:/blocks]"
    for number, block in enumerate(blocks):
        yield from _block_faults(block, f"/blocks/{number}", team, surface)


def _block_faults(block: Any, at: str, team: "Team", surface: str) -> Iterator[str]:
    kind = _kind(block)
    if kind not in _FIELDS:
        yield f"unsupported type: {kind} [json-pointer:{at}/type]"
        return
    for name in block.keys() - _FIELDS[kind] - {"type", "block_id"}:
        yield f"invalid additional property: {name} [json-pointer:{at}]"
    if len(block.get("block_id", "")) > 255:
        yield f"must be less than 256 characters [json-pointer:{at}/block_id]"
    if kind in _ELEMENT_COUNTS:
        yield from _elements_faults(block, at, surface, _ELEMENT_COUNTS[kind], team)
    elif kind in _CHECKS:
        yield from _CHECKS[kind](block, at, team, surface)


def _elements_faults(block: Json, at: str, surface: str, most: int, team: "Team") -> Iterator[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        yield f"missing required field: elements [json-pointer:{at}]"
        return
    if len(elements) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}/elements]"
    names = [element.get("action_id") for element in elements if isinstance(element, dict)]
    for name in {name for name in names if name and names.count(name) > 1}:
        yield f"`action_id` {name} already exists [json-pointer:{at}/elements]"
    for number, element in enumerate(elements):
        place = f"{at}/elements/{number}"
        if block["type"] == "context":
            yield from _context_faults(element, place, team)
        else:
            yield from element_faults(element, place, block["type"], surface)


def _context_faults(element: Any, at: str, team: "Team") -> Iterator[str]:
    if _kind(element) == "image":
        yield from _image_faults(element, at, team, "")
    else:
        yield from text_faults(element, at, 3000, TEXT)


def _section_faults(block: Json, at: str, team: "Team", surface: str) -> Iterator[str]:
    if "text" not in block and not block.get("fields"):
        yield f"missing required field: text or fields [json-pointer:{at}]"
    if "text" in block:
        yield from text_faults(block["text"], f"{at}/text", 3000, TEXT)
    fields = block.get("fields", [])
    if len(fields) > 10:
        yield f"no more than 10 items allowed [json-pointer:{at}/fields]"
    for number, entry in enumerate(fields):
        yield from text_faults(entry, f"{at}/fields/{number}", 2000, TEXT)
    if "accessory" in block:
        accessory = block["accessory"]
        faults = (
            _image_faults(accessory, f"{at}/accessory", team, surface)
            if _kind(accessory) == "image"
            else element_faults(accessory, f"{at}/accessory", "section", surface)
        )
        yield from faults


def _header_faults(block: Json, at: str, team: "Team", surface: str) -> Iterator[str]:
    yield from text_faults(block.get("text"), f"{at}/text", 150, PLAIN)


def _image_faults(block: Json, at: str, team: "Team", surface: str) -> Iterator[str]:
    alt_text = block.get("alt_text")
    if not isinstance(alt_text, str):
        yield f"missing required field: alt_text [json-pointer:{at}]"
    elif len(alt_text) > ALT_TEXT:
        yield f"must be less than {ALT_TEXT + 1} characters [json-pointer:{at}/alt_text]"
    if ("image_url" in block) == ("slack_file" in block):
        yield f"must have exactly one of image_url and slack_file [json-pointer:{at}]"
    if len(block.get("image_url", "")) > 3000:
        yield f"must be less than 3001 characters [json-pointer:{at}/image_url]"
    if "title" in block:
        yield from text_faults(block["title"], f"{at}/title", 2000, PLAIN)
    if "slack_file" in block:
        yield from _slack_file_faults(block["slack_file"], f"{at}/slack_file", team)


def _slack_file_faults(told: Any, at: str, team: "Team") -> Iterator[str]:
    file = team.files.get(told.get("id", "")) if isinstance(told, dict) else None
    name = file.name.rpartition(".")[2].lower() if file else ""
    is_there = file and file.is_processed and not file.is_deleted and file.is_visible_to_bot()
    if not is_there or name not in PICTURES:
        yield f"invalid slack file [json-pointer:{at}]"


def _input_faults(block: Json, at: str, team: "Team", surface: str) -> Iterator[str]:
    yield from text_faults(block.get("label"), f"{at}/label", 2000, PLAIN)
    if "hint" in block:
        yield from text_faults(block["hint"], f"{at}/hint", 2000, PLAIN)
    yield from element_faults(block.get("element"), f"{at}/element", "input", surface)


def _markdown_faults(block: Json, at: str, team: "Team", surface: str) -> Iterator[str]:
    if surface != "message":
        yield f"unsupported type: markdown [json-pointer:{at}/type]"
    if not isinstance(block.get("text"), str) or not block["text"]:
        yield f"missing required field: text [json-pointer:{at}]"


_CHECKS = {
    "section": _section_faults,
    "header": _header_faults,
    "image": _image_faults,
    "input": _input_faults,
    "markdown": _markdown_faults,
}


def _kind(node: Any) -> str:
    return str(node.get("type", "")) if isinstance(node, dict) else type(node).__name__


def _text_length(node: Any) -> int:
    if isinstance(node, dict):
        own = len(node["text"]) if isinstance(node.get("text"), str) else 0
        return own + sum(_text_length(value) for value in node.values())
    return sum(_text_length(entry) for entry in node) if isinstance(node, list) else 0
