"""Validates blocks against docs.slack.dev/reference/block-kit; sentences resemble Slack's, with a JSON pointer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.elements import PLAIN_TEXT_TYPES, TEXT_TYPES, validate_element, validate_text
from tests.emulators.slack.messages import Json

if TYPE_CHECKING:
    from tests.emulators.slack.state import SlackTeamState


MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MAX_MARKDOWN_CHARACTERS = 12_000
MAX_ALT_TEXT_LENGTH = 2000
PICTURE_EXTENSIONS = ("png", "jpg", "jpeg", "gif")

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


def validate_blocks(blocks: Any, team: "SlackTeamState", surface: str) -> list[str]:
    """Return the violations of blocks on a surface: `message`, `modal` or `home`."""
    if not isinstance(blocks, list):
        return ["must be a list [json-pointer:/blocks]"]
    return list(_validate_block_list(blocks, team, surface))


def measure_block_text(blocks: list[Json]) -> int:
    """Return the characters of all texts. Slack accepts about 13,200 in a message."""
    return sum(_measure_text(block) for block in blocks)


def _validate_block_list(blocks: list[Any], team: "SlackTeamState", surface: str) -> Iterator[str]:
    if len(blocks) > MAX_BLOCKS[surface]:
        yield f"no more than {MAX_BLOCKS[surface]} items allowed [json-pointer:/blocks]"
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and "block_id" in block]
    yield from (f"block_id already exists: {id_}" for id_ in {id_ for id_ in ids if ids.count(id_) > 1})
    markdown = sum(len(block.get("text", "")) for block in blocks if _get_type(block) == "markdown")
    if markdown > MAX_MARKDOWN_CHARACTERS:
        bound = MAX_MARKDOWN_CHARACTERS + 1
        yield f"markdown texts together must be less than {bound} characters [json-pointer:/blocks]"
    for number, block in enumerate(blocks):
        yield from _validate_block(block, f"/blocks/{number}", team, surface)


def _validate_block(block: Any, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    kind = _get_type(block)
    if kind not in _FIELDS:
        yield f"unsupported type: {kind} [json-pointer:{at}/type]"
        return
    for name in block.keys() - _FIELDS[kind] - {"type", "block_id"}:
        yield f"invalid additional property: {name} [json-pointer:{at}]"
    if len(block.get("block_id", "")) > 255:
        yield f"must be less than 256 characters [json-pointer:{at}/block_id]"
    if kind in _ELEMENT_COUNTS:
        yield from _validate_elements(block, at, surface, _ELEMENT_COUNTS[kind], team)
    elif kind in _CHECKS:
        yield from _CHECKS[kind](block, at, team, surface)


def _validate_elements(block: Json, at: str, surface: str, maximum: int, team: "SlackTeamState") -> Iterator[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        yield f"missing required field: elements [json-pointer:{at}]"
        return
    if len(elements) > maximum:
        yield f"no more than {maximum} items allowed [json-pointer:{at}/elements]"
    names = [element.get("action_id") for element in elements if isinstance(element, dict)]
    for name in {name for name in names if name and names.count(name) > 1}:
        yield f"`action_id` {name} already exists [json-pointer:{at}/elements]"
    for number, element in enumerate(elements):
        element_path = f"{at}/elements/{number}"
        if block["type"] == "context":
            yield from _validate_context(element, element_path, team)
        else:
            yield from validate_element(element, element_path, block["type"], surface)


def _validate_context(element: Any, at: str, team: "SlackTeamState") -> Iterator[str]:
    if _get_type(element) == "image":
        yield from _validate_image(element, at, team, "")
    else:
        yield from validate_text(element, at, 3000, TEXT_TYPES)


def _validate_section(block: Json, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    if "text" not in block and not block.get("fields"):
        yield f"missing required field: text or fields [json-pointer:{at}]"
    if "text" in block:
        yield from validate_text(block["text"], f"{at}/text", 3000, TEXT_TYPES)
    fields = block.get("fields", [])
    if len(fields) > 10:
        yield f"no more than 10 items allowed [json-pointer:{at}/fields]"
    for number, entry in enumerate(fields):
        yield from validate_text(entry, f"{at}/fields/{number}", 2000, TEXT_TYPES)
    if "accessory" in block:
        accessory = block["accessory"]
        violations = (
            _validate_image(accessory, f"{at}/accessory", team, surface)
            if _get_type(accessory) == "image"
            else validate_element(accessory, f"{at}/accessory", "section", surface)
        )
        yield from violations


def _validate_header(block: Json, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    yield from validate_text(block.get("text"), f"{at}/text", 150, PLAIN_TEXT_TYPES)


def _validate_image(block: Json, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    alt_text = block.get("alt_text")
    if not isinstance(alt_text, str):
        yield f"missing required field: alt_text [json-pointer:{at}]"
    elif len(alt_text) > MAX_ALT_TEXT_LENGTH:
        yield f"must be less than {MAX_ALT_TEXT_LENGTH + 1} characters [json-pointer:{at}/alt_text]"
    if ("image_url" in block) == ("slack_file" in block):
        yield f"must have exactly one of image_url and slack_file [json-pointer:{at}]"
    if len(block.get("image_url", "")) > 3000:
        yield f"must be less than 3001 characters [json-pointer:{at}/image_url]"
    if "title" in block:
        yield from validate_text(block["title"], f"{at}/title", 2000, PLAIN_TEXT_TYPES)
    if "slack_file" in block:
        yield from _validate_slack_file(block["slack_file"], f"{at}/slack_file", team)


def _validate_slack_file(reference: Any, at: str, team: "SlackTeamState") -> Iterator[str]:
    file = team.files.get(reference.get("id", "")) if isinstance(reference, dict) else None
    name = file.name.rpartition(".")[2].lower() if file else ""
    is_there = file and file.is_processed and not file.is_deleted and file.is_visible_to_bot()
    if not is_there or name not in PICTURE_EXTENSIONS:
        yield f"invalid slack file [json-pointer:{at}]"


def _validate_input(block: Json, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    yield from validate_text(block.get("label"), f"{at}/label", 2000, PLAIN_TEXT_TYPES)
    if "hint" in block:
        yield from validate_text(block["hint"], f"{at}/hint", 2000, PLAIN_TEXT_TYPES)
    yield from validate_element(block.get("element"), f"{at}/element", "input", surface)


def _validate_markdown(block: Json, at: str, team: "SlackTeamState", surface: str) -> Iterator[str]:
    if surface != "message":
        yield f"unsupported type: markdown [json-pointer:{at}/type]"
    if not isinstance(block.get("text"), str) or not block["text"]:
        yield f"missing required field: text [json-pointer:{at}]"


_CHECKS = {
    "section": _validate_section,
    "header": _validate_header,
    "image": _validate_image,
    "input": _validate_input,
    "markdown": _validate_markdown,
}


def _get_type(node: Any) -> str:
    return str(node.get("type", "")) if isinstance(node, dict) else type(node).__name__


def _measure_text(node: Any) -> int:
    if isinstance(node, dict):
        own = len(node["text"]) if isinstance(node.get("text"), str) else 0
        return own + sum(_measure_text(value) for value in node.values())
    return sum(_measure_text(entry) for entry in node) if isinstance(node, list) else 0
