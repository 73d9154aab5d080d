"""Renders command forms as Discord's modals and parses the submitted fields."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.replies import Reply, Tone
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.platforms.discord.discord_py_internals import Payload

# discord.com/developers/docs/components/reference#label
MAX_FIELDS = 5
_LONGEST_TITLE = 45
_LONGEST_DESCRIPTION = 100
_LONGEST_TEXT = 4000
_LONGEST_CHOICE = 100
_MOST_CHOICES = 25
_LABEL, _TEXT_INPUT, _SELECT = 18, 4, 3
_PICKERS = {OptionKind.PERSON: 5, OptionKind.ROLE: 6, OptionKind.CHANNEL: 8}
_SHORT, _PARAGRAPH = 1, 2
_PARAGRAPH_FROM = 100  # a longer text gets a field of several lines


def render_modal(draft: FormDraft, custom_id: str, services: Services) -> Payload:
    """Return the modal of a form with the known values filled in: at most five fields, the most important first."""
    fields = [_render_field(option, draft.values, services) for option in choose_fields(draft)]
    return {"custom_id": custom_id, "title": _cut(draft.title, _LONGEST_TITLE), "components": fields}


def choose_fields(draft: FormDraft) -> list[Option]:
    """Return the options that the form asks for. The job or the message already holds the files."""
    options = [option for option in draft.declaration.options if option.kind is not OptionKind.FILE]
    if draft.option_names:
        named = {option.name: option for option in options}
        options = [named[name] for name in draft.option_names if name in named]
    else:
        options.sort(key=lambda option: not (option.is_required or option.words))
    return options[:MAX_FIELDS]  # Discord refuses a sixth field


def needs_text(declaration: Declaration) -> bool:
    """Whether the command requires more than a picture."""
    return any(option.is_required and option.kind is not OptionKind.FILE for option in declaration.options)


def parse_form(data: Mapping[str, Any]) -> dict[str, OptionValue]:
    """Return the options of a submitted form; an empty field is an empty text."""
    fields = [row.get("component", row) for row in _flatten_rows(data.get("components") or ())]
    return {str(field["custom_id"]): _read_value(field) for field in fields if "custom_id" in field}


def quote_form_input(reply: Reply, options: Mapping[str, OptionValue]) -> Reply:
    """Append the input to an error for the user to copy: Discord discards the input of a submitted form."""
    # A fence inside the input would end the code block.
    written = {name: str(value).strip().replace("```", "ˋˋˋ") for name, value in options.items()}
    lines = "\n".join(f"{name}: {words}" for name, words in written.items() if words)
    if reply.tone is not Tone.ERROR or not lines:
        return reply
    return replace(reply, text=f"{reply.text}\n\nWhat you wrote:\n```\n{lines}\n```")


def _flatten_rows(components: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # Fields stand in labels (type 18), and in rows in forms of older versions.
    return [inner for row in components for inner in row.get("components", [row])]


def _read_value(field: Mapping[str, Any]) -> OptionValue:
    if "values" in field:
        return str(next(iter(field["values"]), ""))
    value = field.get("value")
    return value if isinstance(value, (bool, int, float)) else str(value or "")


def _render_field(option: Option, values: Mapping[str, OptionValue], services: Services) -> Payload:
    field = {"custom_id": option.name, "required": option.is_required, **_render_input(option, values, services)}
    return {
        "type": _LABEL,
        "label": _cut(option.name.replace("_", " ").capitalize(), _LONGEST_TITLE),
        "description": _cut(option.question, _LONGEST_DESCRIPTION),
        "component": field,
    }


def _render_input(option: Option, values: Mapping[str, OptionValue], services: Services) -> Payload:
    value = values.get(option.name)
    if option.kind in _PICKERS:
        return {"type": _PICKERS[option.kind]}
    # A select shows 25 choices at most: a longer list is typed, and checked.
    choices = _list_choices(option, services, values)
    if choices and len(option.choices) <= _MOST_CHOICES:
        return _render_select(choices, "" if value is None else str(value))
    if option.kind is OptionKind.FLAG:
        return _render_select([("Yes", "yes"), ("No", "no")], "yes" if value is True else "")
    return _render_text_input(option, value)


def _list_choices(option: Option, services: Services, given: Mapping[str, OptionValue]) -> list[tuple[str, str]]:
    """Return the choices as labels and values."""
    if option.autocomplete is not None:
        return [(choice.label, choice.value) for choice in option.autocomplete(services, "", given)]
    return [(choice, choice) for choice in option.choices]


def _render_select(choices: Sequence[tuple[str, str]], value: str) -> Payload:
    return {
        "type": _SELECT,
        "options": [
            {"label": _cut(label, _LONGEST_CHOICE), "value": key, **({"default": True} if key == value else {})}
            for label, key in choices[:_MOST_CHOICES]
        ],
    }


def _render_text_input(option: Option, value: OptionValue | None) -> Payload:
    is_text = option.kind is OptionKind.TEXT
    most = min(option.max_length or _LONGEST_TEXT, _LONGEST_TEXT) if is_text else 40
    is_long = is_text and most > _PARAGRAPH_FROM
    # Discord refuses the whole modal if a value is longer than `max_length`.
    known = "" if value is None else _format_value(value)[:most]
    return {
        "type": _TEXT_INPUT,
        "style": _PARAGRAPH if is_long else _SHORT,
        "max_length": most,
        **({"value": known} if known else {}),
    }


def _format_value(value: OptionValue) -> str:
    """Return a number as people write numbers: 7.5, and 7 rather than 7.0."""
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
