"""Fills in modals within the rules of Slack's client; AssertionError for input that the client refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.elements import list_options
from tests.emulators.slack.messages import Json

if TYPE_CHECKING:
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.views import SlackViewState


MAX_FILE_BYTES = 10 << 20


@dataclass(frozen=True)
class SlackFileUpload:
    """A file that a person attaches."""

    name: str
    content: bytes


def fill_form(view: "SlackViewState", values: Mapping[str, Any]) -> Json:
    """Return `state.values` after a person's input; `values` has labels, action ids or block ids as keys."""
    state: Json = {}
    known_names: set[str] = set()
    for block, element in list_fields(view):
        names = list_field_names(block, element)
        known_names |= names
        given = next((values[name] for name in names if name in values), _get_initial_value(view, element))
        field_state = _build_field_state(view.person, element, given)
        if block["type"] == "input" and not block.get("optional") and not field_state:
            raise AssertionError(f"the form would not let you: {names} is missing")
        state.setdefault(get_block_id(view, block), {})[element["action_id"]] = {
            "type": element["type"],
            **(field_state or _build_empty_state(element)),
        }
    assert not (unknown := set(values) - known_names), f"the form has no {unknown}, only {known_names}"
    return state


def list_fields(view: "SlackViewState") -> list[tuple[Json, Json]]:
    """Return the blocks with an input, each with its element."""
    inputs = [(block, block["element"]) for block in view.blocks if block["type"] == "input"]
    others = [(block, element) for block in view.blocks for element in _list_other_elements(block)]
    return inputs + [(block, element) for block, element in others if element["type"] not in ("button", "overflow")]


def list_field_names(block: Json, element: Json) -> set[str]:
    """Return all names of a field that tests may use."""
    candidates = {element.get("action_id"), block.get("block_id"), block.get("label", {}).get("text")}
    return {name for name in candidates if name}


def get_block_id(view: "SlackViewState", block: Json) -> str:
    """Return a block's id; Slack generates a missing id."""
    return str(block.get("block_id") or f"b{view.blocks.index(block)}")


def find_option(element: Json, value: Any) -> Json:
    """Return the option with this value or text. Raise AssertionError if there is none."""
    if isinstance(value, dict):
        return value
    options = list_options(element)
    for option in options:
        if value in (option["value"], option["text"]["text"]):
            return option
    texts = [option["text"]["text"] for option in options]
    raise AssertionError(f"there is no {value!r} to choose, only {texts}")


def _list_other_elements(block: Json) -> list[Json]:
    elements: list[Json] = block["elements"] if block["type"] == "actions" else []
    return elements or ([block["accessory"]] if block.get("accessory", {}).get("type", "image") != "image" else [])


def _get_initial_value(view: "SlackViewState", element: Json) -> Any:
    """Return the field's current value."""
    if element["action_id"] in view.typed_values:
        return view.typed_values[element["action_id"]]
    for name in ("initial_value", "initial_option", "initial_options", "initial_user", "initial_date"):
        if name in element:
            return element[name]
    return element.get("initial_conversation") or element.get("initial_channel")


def _build_field_state(person: "SlackPerson", element: Json, given: Any) -> Json:
    """Return a field's part of the state; empty for an empty field."""
    if given in (None, "", []):
        return {}
    kind = element["type"]
    if kind in ("plain_text_input", "url_text_input"):
        _check_text(element, str(given))
        return {"value": str(given)}
    if kind == "number_input":
        _check_number(element, str(given))
        return {"value": str(given)}
    if kind == "file_input":
        return {"files": [file.to_json() for file in _upload_files(person, element, given)]}
    if kind in ("checkboxes", "multi_static_select"):
        return {"selected_options": [find_option(element, entry) for entry in given]}
    if kind in ("static_select", "external_select", "radio_buttons"):
        return {"selected_option": find_option(element, given)}
    return {_SELECTED[kind]: given}


_SELECTED = {
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "users_select": "selected_user",
}


def _build_empty_state(element: Json) -> Json:
    kind = element["type"]
    if kind in ("checkboxes", "multi_static_select"):
        return {"selected_options": []}
    if kind == "file_input":
        return {"files": []}
    return {"selected_option": None} if "select" in kind or kind == "radio_buttons" else {"value": None}


def _check_text(element: Json, text: str) -> None:
    shortest, longest = element.get("min_length", 0), element.get("max_length", 3000)
    assert shortest <= len(text) <= longest, f"the form would not let you: {len(text)} characters"
    assert element.get("multiline") or "\n" not in text, "the form would not let you: it has one line"


def _check_number(element: Json, text: str) -> None:
    number = float(text) if element["is_decimal_allowed"] else int(text)
    low, high = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
    assert low <= number <= high, f"the form would not let you: {number} is not from {low:g} to {high:g}"


def _upload_files(person: "SlackPerson", element: Json, given: Any) -> list[Any]:
    uploads: list[SlackFileUpload] = given if isinstance(given, list) else [given]
    assert len(uploads) <= element.get("max_files", 10), "the form would not let you: too many files"
    kinds = element.get("filetypes")
    for upload in uploads:
        assert len(upload.content) <= MAX_FILE_BYTES, "the form would not let you: over 10 MB"
        kind = upload.name.rpartition(".")[2].lower()
        assert not kinds or kind in kinds, f"the form would not let you: no {kind}, only {kinds}"
    files = [person.team.add_file(person.id, upload.name, upload.content) for upload in uploads]
    for file in files:
        file.was_attached_to_form = True
    return files
