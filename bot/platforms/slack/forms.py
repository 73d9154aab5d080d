"""Renders the form of a command as a Slack modal, and reads and checks the submitted fields.

Limits of modals and input elements: docs.slack.dev/reference/block-kit/block-elements.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.core.errors import BadOption, UserError
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, Invocation, name_file
from bot.core.people import Channel, User
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue, Services
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import Menu, find_command
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.messages import Block, render_plain_text
from bot.platforms.slack.mrkdwn import truncate
from bot.platforms.slack.uploads import SlackFiles

CALLBACK_ID = "easel_form"

_MAX_TITLE = 24
_MAX_LABEL = 2000
_MAX_METADATA = 3000
_MAX_TEXT = 3000
_MAX_SINGLE_LINE = 200
_MAX_OPTION_LABEL = 75
_MAX_OPTION_VALUE = 150
_MAX_OPTIONS = 100
_MAX_STATIC_SUGGESTIONS = 25
_FILE_TYPES = {
    MediaKind.PICTURE: ("png", "jpg", "jpeg", "webp", "gif", "heic"),
    MediaKind.AUDIO: ("mp3", "wav", "ogg", "opus", "flac", "m4a", "webm"),
    MediaKind.VIDEO: ("mp4", "webm", "mov"),
}
_YES = "yes"
_MENUS = ("static_select", "external_select")
# Fields of a file object; a download needs no others.
_FILE_FIELDS = ("id", "name", "mimetype", "size", "url_private", "url_private_download", "file_access")


@dataclass(frozen=True, slots=True)
class SlackFormOrigin:
    """The place where a form was opened, and the cause: a command, a button on a message, or a posted picture.

    Field names are the keys of the JSON in a modal's `private_metadata`: a modal itself has no channel.
    """

    command: str
    channel: str = ""
    thread: str = ""
    action: str = ""
    job: str = ""
    n: int = 0
    message: str = ""
    files: Sequence[Mapping[str, Any]] = ()
    """Slack's file objects."""

    def serialize(self) -> str:
        """Return the JSON for `private_metadata`, within 3,000 characters."""
        files = [{name: file[name] for name in _FILE_FIELDS if name in file} for file in self.files]
        text = json.dumps(asdict(replace(self, files=files)))
        if len(text) <= _MAX_METADATA:
            return text
        # The ids alone are enough: a download then asks Slack for the rest.
        return json.dumps(asdict(replace(self, files=[{"id": file.get("id")} for file in files])))


def parse_origin(view: Mapping[str, Any]) -> SlackFormOrigin | None:
    """Return the origin of a view, or None for a view of another kind."""
    try:
        fields = json.loads(view.get("private_metadata") or "")
        return SlackFormOrigin(**fields) if view.get("callback_id") == CALLBACK_ID else None
    except (ValueError, TypeError):
        return None


def render_modal(
    declaration: Declaration,
    services: Services,
    origin: SlackFormOrigin,
    *,
    values: Mapping[str, OptionValue] | None = None,
    title: str = "",
    option_names: Sequence[str] = (),
    price: str = "",
    asks_files: bool = False,
) -> dict[str, Any]:
    """Return a modal with a field for each option (or for those of `option_names`, in order), filled with `values`.

    With the `price` of the values, a choice that may change the price is reported at once, for an update of the modal.
    """
    wanted = [declaration.option(name) for name in option_names] if option_names else list(declaration.options)
    has_file = bool(origin.files or origin.action) and not asks_files
    options = [one for one in wanted if one is not None and not (has_file and one.kind is OptionKind.FILE)]
    known = values or {}
    return {
        "type": "modal",
        "callback_id": CALLBACK_ID,
        "title": render_plain_text(truncate(title or declaration.name.capitalize(), _MAX_TITLE)),
        "submit": render_plain_text("Send"),
        "close": render_plain_text("Cancel"),
        "private_metadata": origin.serialize(),
        "blocks": [
            *(_render_field(option, services, known, reports_choice=bool(price)) for option in options),
            *([{"type": "context", "elements": [render_plain_text(f"Costs {price}.")]}] if price else []),
        ],
    }


def list_shown_options(view: Mapping[str, Any]) -> list[str]:
    """Return the options with a field in a view, in order."""
    return [str(block["block_id"]) for block in view.get("blocks") or () if block.get("type") == "input"]


def list_suggestions(
    services: Services, option: Option, typed: str, given: Mapping[str, OptionValue] | None = None
) -> list[Block]:
    """Return the menu entries of an option that match the typed text; `given` are the form's other values."""
    if option.autocomplete is None:
        return []
    return [_render_choice(one.label, one.value) for one in option.autocomplete(services, typed, given or {})][
        :_MAX_OPTIONS
    ]


def find_option(action_id: str, menu: Menu, origin: SlackFormOrigin) -> Option | None:
    """Return the option of a field."""
    return find_command(menu, origin.command).declaration.option(action_id)


def read_values(view: Mapping[str, Any], declaration: Declaration) -> dict[str, OptionValue]:
    """Return the submitted values by option; an empty field is an empty text."""
    values: dict[str, OptionValue] = {}
    for name, element in _list_elements(view):
        option = declaration.option(name)
        if option is None or option.kind is OptionKind.FILE:
            continue
        value = _read_value(element)
        # An unticked box means "no" only for an option whose default is "yes"; else the option is not given. Neither
        # is a default that the form filled in: a preset may set the option.
        is_unticked = value is False and option.default is not True
        values[name] = "" if is_unticked or (value is not True and str(value) == str(option.default)) else value
    return values


def read_files(view: Mapping[str, Any], files: SlackFiles, team: str) -> dict[str, Attachment]:
    """Return the submitted files by name, see `name_file`."""
    return {
        name_file(name, n): files.create_attachment(team, file)
        for name, element in _list_elements(view)
        for n, file in enumerate(element.get("files") or ())
    }


def find_errors(view: Mapping[str, Any], origin: SlackFormOrigin, menu: Menu) -> dict[str, str]:
    """Return the errors by field, found by the command's declaration; empty if the form is valid."""
    fields = set(list_shown_options(view))
    form = find_command(menu, origin.command)
    given = {name: value for name, value in read_values(view, form.declaration).items() if value != ""}
    attached = {name for name, element in _list_elements(view) if element.get("files")}
    first = form.declaration.file_option
    attached |= {first.name} if first is not None and (origin.files or origin.action) else set()
    # Options without a field get a value later, so a placeholder stands in for each.
    absent = {one.name: "?" for one in form.declaration.options if one.is_required and one.name not in fields}
    invocation = Invocation(
        User(NAME, "", "", ""),
        Channel(NAME, "", ""),
        origin.command,
        "",
        {**absent, **given},
        dict.fromkeys(attached, _NO_FILE),
    )
    try:
        fill_form(form, invocation)
    except BadOption as error:
        # Slack shows errors beside fields only; any other error is reported after the form has closed.
        return {error.option: str(error)} if error.option in fields else {}
    except UserError:
        return {}
    return {}


async def _read_nothing() -> bytes:
    return b""


_NO_FILE = Attachment("file", "image/png", 0, _read_nothing)


def _list_elements(view: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    values = (view.get("state") or {}).get("values", {}).values()
    return [(name, element) for elements in values for name, element in elements.items()]


def _read_value(element: Mapping[str, Any]) -> OptionValue:
    kind = element.get("type")
    if kind in ("static_select", "external_select", "radio_buttons"):
        return str((element.get("selected_option") or {}).get("value") or "")
    if kind == "checkboxes":
        return bool(element.get("selected_options"))
    for name in ("selected_user", "selected_channel", "selected_conversation", "value"):
        if element.get(name):
            return str(element[name])
    return ""


def _render_field(
    option: Option, services: Services, known: Mapping[str, OptionValue], *, reports_choice: bool
) -> Block:
    label = f"{option.name.replace('_', ' ').capitalize()}: {option.question}"
    # A required checkbox could not be left unticked.
    is_optional = not option.is_required or option.kind is OptionKind.FLAG
    block: Block = {
        "type": "input",
        "block_id": option.name,
        "label": render_plain_text(truncate(label, _MAX_LABEL)),
        "element": {**_render_element(option, services, known), "action_id": option.name},
    }
    if reports_choice and option.autocomplete is not None and block["element"]["type"] in _MENUS:
        block["dispatch_action"] = True
    return {**block, "optional": True} if is_optional else block


def _render_element(option: Option, services: Services, known: Mapping[str, OptionValue]) -> Block:
    value = known.get(option.name)
    if 0 < len(option.choices) <= _MAX_OPTIONS:
        choices = [_render_choice(choice, choice) for choice in option.choices]
        return _render_menu(choices, value if value is not None else option.default)
    if option.autocomplete is not None:
        return _render_suggestions(option, services, known)
    return _ELEMENTS[option.kind](option, value)


def _render_suggestions(option: Option, services: Services, known: Mapping[str, OptionValue]) -> Block:
    """Return a menu of all suggestions if there are few, else a menu with suggestions during typing."""
    value = known.get(option.name, option.default)
    suggestions = list_suggestions(services, option, "", known)
    if len(suggestions) < _MAX_STATIC_SUGGESTIONS:
        if value and all(one["value"] != value for one in suggestions):
            suggestions.append(_render_choice(str(value), str(value)))
        return _render_menu(suggestions, value) if suggestions else _ELEMENTS[option.kind](option, value)
    initial = {"initial_option": _render_choice(str(value), str(value))} if value else {}
    return {"type": "external_select", "min_query_length": 0, **initial}


def _render_menu(choices: list[Block], value: Any) -> Block:
    initial = next((one for one in choices if one["value"] == str(value)), None) if value not in (None, "") else None
    element: Block = {"type": "static_select", "options": choices[:_MAX_OPTIONS]}
    return {**element, "initial_option": initial} if initial is not None else element


def _render_text(option: Option, value: OptionValue | None) -> Block:
    max_length = min(option.max_length or _MAX_TEXT, _MAX_TEXT)
    is_multiline = option.words or max_length > _MAX_SINGLE_LINE
    element: Block = {"type": "plain_text_input", "multiline": is_multiline, "max_length": max_length}
    return {**element, "initial_value": truncate(str(value), max_length)} if value else element


def _render_number(option: Option, value: OptionValue | None) -> Block:
    element: Block = {"type": "number_input", "is_decimal_allowed": option.kind is OptionKind.NUMBER}
    initial = value if value is not None else option.default
    bounds = {"min_value": option.minimum, "max_value": option.maximum, "initial_value": initial}
    return {**element, **{name: _format_number(bound) for name, bound in bounds.items() if bound not in (None, "")}}


def _render_flag(option: Option, value: OptionValue | None) -> Block:
    yes = _render_choice("Yes", _YES)
    element: Block = {"type": "checkboxes", "options": [yes]}
    return {**element, "initial_options": [yes]} if value is True or (value is None and option.default) else element


def _render_file(option: Option, value: OptionValue | None) -> Block:
    # An option for downloads takes any file: then Slack wants no list.
    types = [] if MediaKind.FILE in option.media else [name for kind in option.media for name in _FILE_TYPES[kind]]
    return {"type": "file_input", "max_files": option.max_files, **({"filetypes": types} if types else {})}


def _render_user(option: Option, value: OptionValue | None) -> Block:
    return {"type": "users_select", **({"initial_user": str(value)} if value else {})}


def _render_channel(option: Option, value: OptionValue | None) -> Block:
    return {"type": "channels_select", **({"initial_channel": str(value)} if value else {})}


_ELEMENTS = {
    OptionKind.TEXT: _render_text,
    OptionKind.ROLE: _render_text,
    OptionKind.INTEGER: _render_number,
    OptionKind.NUMBER: _render_number,
    OptionKind.FLAG: _render_flag,
    OptionKind.FILE: _render_file,
    OptionKind.PERSON: _render_user,
    OptionKind.CHANNEL: _render_channel,
}


def _render_choice(label: str, value: str) -> Block:
    return {"text": render_plain_text(truncate(label, _MAX_OPTION_LABEL)), "value": truncate(value, _MAX_OPTION_VALUE)}


def _format_number(number: Any) -> str:
    # Slack reads no exponents: 1e+16.
    return f"{number:.10f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
