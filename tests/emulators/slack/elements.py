"""Validates text objects, buttons, menus and fields of Block Kit."""

from collections.abc import Iterator
from typing import Any

from tests.emulators.slack.messages import Json

PLAIN_TEXT_TYPES = frozenset({"plain_text"})
TEXT_TYPES = frozenset({"plain_text", "mrkdwn"})
_TEXT_FIELDS = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}


def validate_text(text: Any, at: str, maximum: int, kinds: frozenset[str]) -> Iterator[str]:
    """Yield violations of a text object: a type of `kinds`, 1 to `most` characters."""
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"must be a text object of type {' or '.join(sorted(kinds))} [json-pointer:{at}]"
        return
    if not text["text"]:
        yield f"must be more than 0 characters [json-pointer:{at}/text]"
    if len(text["text"]) > maximum:
        yield f"must be less than {maximum + 1} characters [json-pointer:{at}/text]"
    for name in text.keys() - _TEXT_FIELDS[text["type"]]:
        yield f"invalid additional property: {name} [json-pointer:{at}]"


_COMMON_FIELDS = {"type", "action_id"}
_CONFIRM, _FOCUS, _PLACEHOLDER = "confirm", "focus_on_load", "placeholder"
_MENU = {_CONFIRM, _FOCUS, _PLACEHOLDER}
_TYPED = {"initial_value", "dispatch_action_config", _FOCUS, _PLACEHOLDER}
_FIELDS: dict[str, set[str]] = {
    "button": {"text", "value", "url", "style", _CONFIRM, "accessibility_label"},
    "checkboxes": {"options", "initial_options", _CONFIRM, _FOCUS},
    "channels_select": _MENU | {"initial_channel", "response_url_enabled"},
    "conversations_select": _MENU
    | {"initial_conversation", "default_to_current_conversation", "response_url_enabled", "filter"},
    "datepicker": {"initial_date", _CONFIRM, _FOCUS, _PLACEHOLDER},
    "external_select": _MENU | {"initial_option", "min_query_length"},
    "feedback_buttons": {"positive_button", "negative_button"},
    "file_input": {"filetypes", "max_files"},
    "icon_button": {"icon", "text", "value", _CONFIRM, "accessibility_label", "visible_to_user_ids"},
    "multi_static_select": _MENU | {"options", "option_groups", "initial_options", "max_selected_items"},
    "number_input": _TYPED | {"is_decimal_allowed", "min_value", "max_value"},
    "overflow": {"options", _CONFIRM},
    "plain_text_input": _TYPED | {"multiline", "min_length", "max_length"},
    "radio_buttons": {"options", "initial_option", _CONFIRM, _FOCUS},
    "static_select": _MENU | {"options", "option_groups", "initial_option"},
    "url_text_input": _TYPED,
    "users_select": _MENU | {"initial_user"},
}  # fmt: skip
_INPUTS = {
    "checkboxes", "channels_select", "conversations_select", "datepicker", "external_select", "file_input",
    "multi_static_select", "number_input", "plain_text_input", "radio_buttons", "static_select", "url_text_input",
    "users_select",
}  # fmt: skip
_PLACES: dict[str, set[str]] = {
    "input": _INPUTS,
    "actions": set(_FIELDS) - {"feedback_buttons", "icon_button", "file_input", "number_input"},
    "section": set(_FIELDS) - {"feedback_buttons", "icon_button", "file_input", "number_input", "plain_text_input"},
    "context_actions": {"feedback_buttons", "icon_button"},
}
_OPTION_COUNTS = {
    "static_select": 100,
    "multi_static_select": 100,
    "radio_buttons": 10,
    "checkboxes": 10,
    "overflow": 5,
}
_LONGEST_INPUT = 3000
_CONFIRM_TEXTS = {
    "title": (100, PLAIN_TEXT_TYPES),
    "text": (300, TEXT_TYPES),
    "confirm": (30, PLAIN_TEXT_TYPES),
    "deny": (30, PLAIN_TEXT_TYPES),
}


def validate_element(element: Any, at: str, block_type: str, surface: str) -> Iterator[str]:
    """Yield violations. `place` is the type of the enclosing block; `surface` is `message`, `modal` or `home`."""
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in _PLACES[block_type] or (kind == "file_input" and surface != "modal"):
        yield f"unsupported type: {kind} in {block_type} [json-pointer:{at}/type]"
        return
    for name in element.keys() - _FIELDS[kind] - _COMMON_FIELDS:
        yield f"invalid additional property: {name} [json-pointer:{at}]"
    if len(element.get("action_id", "")) > 255:
        yield f"must be less than 256 characters [json-pointer:{at}/action_id]"
    if _PLACEHOLDER in element:
        yield from validate_text(element[_PLACEHOLDER], f"{at}/placeholder", 150, PLAIN_TEXT_TYPES)
    for name, (maximum, kinds) in _CONFIRM_TEXTS.items() if _CONFIRM in element else ():
        if name in element[_CONFIRM] or name != "deny":
            yield from validate_text(element[_CONFIRM].get(name), f"{at}/confirm/{name}", maximum, kinds)
    if kind in _OPTION_COUNTS:
        yield from _validate_options(element, kind, at)
    elif kind in _CHECKS:
        yield from _CHECKS[kind](element, at)


def validate_option(option: Any, at: str, kinds: frozenset[str] = PLAIN_TEXT_TYPES) -> Iterator[str]:
    if not isinstance(option, dict):
        yield f"must be an option [json-pointer:{at}]"
        return
    yield from validate_text(option.get("text"), f"{at}/text", 75, kinds)
    value = option.get("value")
    if not isinstance(value, str) or not 0 < len(value) <= 150:
        yield f"must have 1 to 150 characters [json-pointer:{at}/value]"
    if "description" in option:
        yield from validate_text(option["description"], f"{at}/description", 75, kinds)


def list_options(element: Json) -> list[Json]:
    """Return all options, including options in groups."""
    grouped = [option for group in element.get("option_groups", ()) for option in group["options"]]
    return [*element.get("options", ()), *grouped]


def _validate_options(element: Json, kind: str, at: str) -> Iterator[str]:
    options, maximum = list_options(element), _OPTION_COUNTS[kind]
    if not options:
        yield f"missing required field: options [json-pointer:{at}]"
    if len(element.get("options", ())) > maximum:
        yield f"no more than {maximum} items allowed [json-pointer:{at}/options]"
    kinds = TEXT_TYPES if kind in ("radio_buttons", "checkboxes") else PLAIN_TEXT_TYPES
    for number, option in enumerate(options):
        yield from validate_option(option, f"{at}/options/{number}", kinds)
    first = [element["initial_option"]] if "initial_option" in element else element.get("initial_options", [])
    if any(option not in options for option in first):
        yield f"initial option is none of the options [json-pointer:{at}]"


def _validate_button(element: Json, at: str) -> Iterator[str]:
    yield from validate_text(element.get("text"), f"{at}/text", 75, PLAIN_TEXT_TYPES)
    if len(element.get("value", "")) > 2000:
        yield f"must be less than 2001 characters [json-pointer:{at}/value]"
    if len(element.get("url", "")) > 3000:
        yield f"must be less than 3001 characters [json-pointer:{at}/url]"
    if element.get("style", "primary") not in ("primary", "danger"):
        yield f"must be primary or danger [json-pointer:{at}/style]"
    if len(element.get("accessibility_label", "")) > 75:
        yield f"must be less than 76 characters [json-pointer:{at}/accessibility_label]"


def _validate_text_input(element: Json, at: str) -> Iterator[str]:
    longest = element.get("max_length", _LONGEST_INPUT)
    if not 1 <= longest <= _LONGEST_INPUT or not 0 <= element.get("min_length", 0) <= longest:
        yield f"must be from 1 to {_LONGEST_INPUT} [json-pointer:{at}/max_length]"
    if len(element.get("initial_value", "")) > longest:
        yield f"must be less than {longest + 1} characters [json-pointer:{at}/initial_value]"


def _validate_number(element: Json, at: str) -> Iterator[str]:
    if not isinstance(element.get("is_decimal_allowed"), bool):
        yield f"missing required field: is_decimal_allowed [json-pointer:{at}]"
    for name in ("initial_value", "min_value", "max_value"):
        if name in element and not isinstance(element[name], str):
            yield f"must be a string [json-pointer:{at}/{name}]"


def _validate_file_input(element: Json, at: str) -> Iterator[str]:
    if not 1 <= element.get("max_files", 10) <= 10:
        yield f"must be from 1 to 10 [json-pointer:{at}/max_files]"


def _validate_feedback(element: Json, at: str) -> Iterator[str]:
    for name in ("positive_button", "negative_button"):
        button = element.get(name, {})
        yield from validate_text(button.get("text"), f"{at}/{name}/text", 75, PLAIN_TEXT_TYPES)
        if len(button.get("value", "")) > 2000:
            yield f"must be less than 2001 characters [json-pointer:{at}/{name}/value]"


_CHECKS = {
    "button": _validate_button,
    "plain_text_input": _validate_text_input,
    "number_input": _validate_number,
    "file_input": _validate_file_input,
    "feedback_buttons": _validate_feedback,
}
