"""A command's form as a modal: drawn from its declaration, read back, and each field checked before it closes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.errors import BadOption, UserError
from bot.core.invocations import Attachment, Invocation
from bot.core.people import Channel, User
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue, Services
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import Menu, find_command
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.messages import Block, render_plain_text
from bot.platforms.slack.mrkdwn import truncate
from bot.platforms.slack.uploads import SlackFiles

CALLBACK_ID = "easel_form"

_TITLE = 24
_LABEL = 2000
_LONGEST_TEXT = 3000
_ONE_LINE = 200
_OPTION_TEXT = 75
_OPTION_VALUE = 150
_MOST_OPTIONS = 100
_MOST_SUGGESTED = 25
_PICTURES = ["png", "jpg", "jpeg", "webp", "gif"]
_YES = "yes"


@dataclass(frozen=True, slots=True)
class SlackFormOrigin:
    """Where a form was opened, and by what: a command, a button on a message, or a picture somebody posted."""

    command: str
    channel: str = ""
    thread: str = ""
    action: str = ""
    job: str = ""
    n: int = 0
    message: str = ""
    file: Mapping[str, Any] = field(default_factory=dict)
    """The picture it was opened on, as Slack tells of it."""

    def serialize(self) -> str:
        """As the form carries it along: within its 3,000 characters."""
        told = {name: getattr(self, name) for name in ("command", "channel", "thread", "action", "job", "n", "message")}
        kept = ("id", "name", "mimetype", "size", "url_private", "url_private_download", "file_access")
        file = {name: self.file[name] for name in kept if name in self.file}
        written = json.dumps({**told, "file": file})
        return written if len(written) <= _LONGEST_TEXT else json.dumps({**told, "file": {"id": file.get("id")}})


def parse_origin(view: Mapping[str, Any]) -> SlackFormOrigin | None:
    """Read back; None for a form that is not ours."""
    try:
        told = json.loads(view.get("private_metadata") or "")
        return SlackFormOrigin(**told) if view.get("callback_id") == CALLBACK_ID else None
    except (ValueError, TypeError):
        return None


def render_modal(
    declaration: Declaration,
    services: Services,
    origin: SlackFormOrigin,
    *,
    values: Mapping[str, OptionValue] | None = None,
    title: str = "",
    asks_for: Sequence[str] = (),
) -> dict[str, Any]:
    """A modal with a field for each option (or those of `asks_for`, in their order), filled in with `values`."""
    wanted = [declaration.option(name) for name in asks_for] if asks_for else list(declaration.options)
    has_file = bool(origin.file or origin.action)
    options = [one for one in wanted if one is not None and not (has_file and one.kind is OptionKind.FILE)]
    known = values or {}
    return {
        "type": "modal",
        "callback_id": CALLBACK_ID,
        "title": render_plain_text(truncate(title or declaration.name.capitalize(), _TITLE)),
        "submit": render_plain_text("Send"),
        "close": render_plain_text("Cancel"),
        "private_metadata": origin.serialize(),
        "blocks": [_field(option, services, known.get(option.name)) for option in options],
    }


def list_suggestions(services: Services, option: Option, typed: str) -> list[Block]:
    """What a menu offers for what was typed so far."""
    if option.autocomplete is None:
        return []
    return [_choice(one.label, one.value) for one in option.autocomplete(services, typed)][:_MOST_OPTIONS]


def find_option(action_id: str, menu: Menu, origin: SlackFormOrigin) -> Option | None:
    """The option whose field that is."""
    return find_command(menu, origin.command).declaration.option(action_id)


def read_values(view: Mapping[str, Any], declaration: Declaration) -> dict[str, OptionValue]:
    """What was filled in, by option; what was left empty is an empty text."""
    values: dict[str, OptionValue] = {}
    for name, told in _fields(view):
        option = declaration.option(name)
        if option is None or option.kind is OptionKind.FILE:
            continue
        value = _value(told)
        # A box that is not ticked says no only where nothing said would be yes.
        values[name] = "" if value is False and option.default is not True else value
    return values


def read_files(view: Mapping[str, Any], files: SlackFiles, team: str) -> dict[str, Attachment]:
    """The files that were put into it, by option."""
    given = [(name, told["files"][0]) for name, told in _fields(view) if told.get("files")]
    return {name: files.create_attachment(team, file) for name, file in given}


def find_errors(view: Mapping[str, Any], origin: SlackFormOrigin, menu: Menu) -> dict[str, str]:
    """What is wrong, by field; checked by the command's own declaration. Empty when all is well."""
    fields = {block["block_id"] for block in view.get("blocks") or () if block.get("type") == "input"}
    form = find_command(menu, origin.command)
    given = {name: value for name, value in read_values(view, form.declaration).items() if value != ""}
    attached = {name for name, told in _fields(view) if told.get("files")}
    attached |= {name for name in ("image",) if origin.file or origin.action}
    nobody, nowhere = User(NAME, "", "", ""), Channel(NAME, "", "")
    attachments = dict.fromkeys(attached, _NO_FILE)
    unasked = {one.name: "?" for one in form.declaration.options if one.is_required and one.name not in fields}
    try:
        fill_form(form, Invocation(nobody, nowhere, origin.command, "", {**unasked, **given}, attachments))
    except BadOption as error:
        return {error.option: str(error)} if error.option in fields else {}
    except UserError:
        return {}
    return {}


async def _no_bytes() -> bytes:
    return b""


_NO_FILE = Attachment("file", "image/png", 0, _no_bytes)


def _fields(view: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    values = (view.get("state") or {}).get("values", {}).values()
    return [(name, told) for fields in values for name, told in fields.items()]


def _value(told: Mapping[str, Any]) -> OptionValue:
    kind = told.get("type")
    if kind in ("static_select", "external_select", "radio_buttons"):
        return str((told.get("selected_option") or {}).get("value") or "")
    if kind == "checkboxes":
        return bool(told.get("selected_options"))
    for name in ("selected_user", "selected_channel", "selected_conversation", "value"):
        if told.get(name):
            return str(told[name])
    return ""


def _field(option: Option, services: Services, value: OptionValue | None) -> Block:
    label = f"{option.name.replace('_', ' ').capitalize()}: {option.question}"
    is_optional = not option.is_required or option.kind is OptionKind.FLAG
    element = {**_element(option, services, value), "action_id": option.name}
    block: Block = {
        "type": "input",
        "block_id": option.name,
        "label": render_plain_text(truncate(label, _LABEL)),
        "element": element,
    }
    return {**block, "optional": True} if is_optional else block


def _element(option: Option, services: Services, value: OptionValue | None) -> Block:
    if option.choices:
        return _menu([_choice(one, one) for one in option.choices], value if value is not None else option.default)
    if option.autocomplete is not None:
        return _suggested(option, services, value)
    return _ELEMENTS[option.kind](option, value)


def _suggested(option: Option, services: Services, value: OptionValue | None) -> Block:
    """A menu of all there is, where that is few; else one that asks while somebody types."""
    offered = list_suggestions(services, option, "")
    if len(offered) < _MOST_SUGGESTED:
        if value and all(one["value"] != value for one in offered):
            offered.append(_choice(str(value), str(value)))
        return _menu(offered, value) if offered else _text(option, value)
    first = {"initial_option": _choice(str(value), str(value))} if value else {}
    return {"type": "external_select", "min_query_length": 0, **first}


def _menu(offered: list[Block], value: Any) -> Block:
    first = next((one for one in offered if one["value"] == str(value)), None) if value not in (None, "") else None
    drawn: Block = {"type": "static_select", "options": offered[:_MOST_OPTIONS]}
    return {**drawn, "initial_option": first} if first is not None else drawn


def _text(option: Option, value: OptionValue | None) -> Block:
    longest = min(option.max_length or _LONGEST_TEXT, _LONGEST_TEXT)
    drawn: Block = {"type": "plain_text_input", "multiline": option.words or longest > _ONE_LINE, "max_length": longest}
    return {**drawn, "initial_value": truncate(str(value), longest)} if value else drawn


def _number(option: Option, value: OptionValue | None) -> Block:
    drawn: Block = {"type": "number_input", "is_decimal_allowed": option.kind is OptionKind.NUMBER}
    told = value if value is not None else option.default
    bounds = {"min_value": option.minimum, "max_value": option.maximum, "initial_value": told}
    return {**drawn, **{name: _written(bound) for name, bound in bounds.items() if bound not in (None, "")}}


def _flag(option: Option, value: OptionValue | None) -> Block:
    yes = _choice("Yes", _YES)
    drawn: Block = {"type": "checkboxes", "options": [yes]}
    return {**drawn, "initial_options": [yes]} if value is True or (value is None and option.default) else drawn


def _file(option: Option, value: OptionValue | None) -> Block:
    return {"type": "file_input", "filetypes": _PICTURES, "max_files": 1}


def _person(option: Option, value: OptionValue | None) -> Block:
    return {"type": "users_select", **({"initial_user": str(value)} if value else {})}


def _place(option: Option, value: OptionValue | None) -> Block:
    return {"type": "channels_select", **({"initial_channel": str(value)} if value else {})}


_ELEMENTS = {
    OptionKind.TEXT: _text,
    OptionKind.ROLE: _text,
    OptionKind.INTEGER: _number,
    OptionKind.NUMBER: _number,
    OptionKind.FLAG: _flag,
    OptionKind.FILE: _file,
    OptionKind.PERSON: _person,
    OptionKind.CHANNEL: _place,
}


def _choice(label: str, value: str) -> Block:
    return {"text": render_plain_text(truncate(label, _OPTION_TEXT)), "value": truncate(value, _OPTION_VALUE)}


def _written(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
