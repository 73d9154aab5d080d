"""Buttons, menus and fields of Block Kit, with their limits."""

from collections.abc import Iterator
from typing import Any

from tests.emulators.slack.texts import PLAIN, TEXT, text_faults

Json = dict[str, Any]

_EVERYWHERE = {"type", "action_id"}
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
_CONFIRM_TEXTS = {"title": (100, PLAIN), "text": (300, TEXT), "confirm": (30, PLAIN), "deny": (30, PLAIN)}


def element_faults(element: Any, at: str, place: str, surface: str) -> Iterator[str]:
    """`place` is the block that holds it, `surface` where the block is."""
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in _PLACES[place] or (kind == "file_input" and surface != "modal"):
        yield f"unsupported type: {kind} in {place} [json-pointer:{at}/type]"
        return
    for name in element.keys() - _FIELDS[kind] - _EVERYWHERE:
        yield f"invalid additional property: {name} [json-pointer:{at}]"
    if len(element.get("action_id", "")) > 255:
        yield f"must be less than 256 characters [json-pointer:{at}/action_id]"
    if _PLACEHOLDER in element:
        yield from text_faults(element[_PLACEHOLDER], f"{at}/placeholder", 150, PLAIN)
    for name, (most, kinds) in _CONFIRM_TEXTS.items() if _CONFIRM in element else ():
        if name in element[_CONFIRM] or name != "deny":
            yield from text_faults(element[_CONFIRM].get(name), f"{at}/confirm/{name}", most, kinds)
    if kind in _OPTION_COUNTS:
        yield from _options_faults(element, kind, at)
    elif kind in _CHECKS:
        yield from _CHECKS[kind](element, at)


def option_faults(option: Any, at: str, kinds: frozenset[str] = PLAIN) -> Iterator[str]:
    if not isinstance(option, dict):
        yield f"must be an option [json-pointer:{at}]"
        return
    yield from text_faults(option.get("text"), f"{at}/text", 75, kinds)
    value = option.get("value")
    if not isinstance(value, str) or not 0 < len(value) <= 150:
        yield f"must have 1 to 150 characters [json-pointer:{at}/value]"
    if "description" in option:
        yield from text_faults(option["description"], f"{at}/description", 75, kinds)


def options_of(element: Json) -> list[Json]:
    """All, also those in groups."""
    grouped = [option for group in element.get("option_groups", ()) for option in group["options"]]
    return [*element.get("options", ()), *grouped]


def _options_faults(element: Json, kind: str, at: str) -> Iterator[str]:
    options, most = options_of(element), _OPTION_COUNTS[kind]
    if not options:
        yield f"missing required field: options [json-pointer:{at}]"
    if len(element.get("options", ())) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}/options]"
    kinds = TEXT if kind in ("radio_buttons", "checkboxes") else PLAIN
    for number, option in enumerate(options):
        yield from option_faults(option, f"{at}/options/{number}", kinds)
    first = [element["initial_option"]] if "initial_option" in element else element.get("initial_options", [])
    if any(option not in options for option in first):
        yield f"initial option is none of the options [json-pointer:{at}]"


def _button_faults(element: Json, at: str) -> Iterator[str]:
    yield from text_faults(element.get("text"), f"{at}/text", 75, PLAIN)
    if len(element.get("value", "")) > 2000:
        yield f"must be less than 2001 characters [json-pointer:{at}/value]"
    if len(element.get("url", "")) > 3000:
        yield f"must be less than 3001 characters [json-pointer:{at}/url]"
    if element.get("style", "primary") not in ("primary", "danger"):
        yield f"must be primary or danger [json-pointer:{at}/style]"
    if len(element.get("accessibility_label", "")) > 75:
        yield f"must be less than 76 characters [json-pointer:{at}/accessibility_label]"


def _text_input_faults(element: Json, at: str) -> Iterator[str]:
    longest = element.get("max_length", _LONGEST_INPUT)
    if not 1 <= longest <= _LONGEST_INPUT or not 0 <= element.get("min_length", 0) <= longest:
        yield f"must be from 1 to {_LONGEST_INPUT} [json-pointer:{at}/max_length]"
    if len(element.get("initial_value", "")) > longest:
        yield f"must be less than {longest + 1} characters [json-pointer:{at}/initial_value]"


def _number_faults(element: Json, at: str) -> Iterator[str]:
    if not isinstance(element.get("is_decimal_allowed"), bool):
        yield f"missing required field: is_decimal_allowed [json-pointer:{at}]"
    for name in ("initial_value", "min_value", "max_value"):
        if name in element and not isinstance(element[name], str):
            yield f"must be a string [json-pointer:{at}/{name}]"


def _file_input_faults(element: Json, at: str) -> Iterator[str]:
    if not 1 <= element.get("max_files", 10) <= 10:
        yield f"must be from 1 to 10 [json-pointer:{at}/max_files]"


def _feedback_faults(element: Json, at: str) -> Iterator[str]:
    for name in ("positive_button", "negative_button"):
        button = element.get(name, {})
        yield from text_faults(button.get("text"), f"{at}/{name}/text", 75, PLAIN)
        if len(button.get("value", "")) > 2000:
            yield f"must be less than 2001 characters [json-pointer:{at}/{name}/value]"


_CHECKS = {
    "button": _button_faults,
    "plain_text_input": _text_input_faults,
    "number_input": _number_faults,
    "file_input": _file_input_faults,
    "feedback_buttons": _feedback_faults,
}
