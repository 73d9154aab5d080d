"""The menu as forms for the page, and what the page sends as invocations."""

from collections.abc import Mapping

from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.dispatch.declaration import MAX_CHOICES, Declaration, Option, OptionValue, Services
from bot.dispatch.parsing import Menu, find_command, parse_command
from bot.dispatch.plain_text import DEFAULT_COMMAND
from bot.platforms.web.request_parsing import MessageRequest


def menu_to_json(menu: Menu) -> JSON:
    """Every command with what its form needs, in the menu's order."""
    commands: list[JSON] = [_declaration_to_json(form.declaration) for form in menu]
    return {"commands": commands, "plain": DEFAULT_COMMAND}


def build_invocation(ask: MessageRequest, menu: Menu, user: User, channel: Channel) -> Invocation:
    """What is to be answered; raises `UnknownName` or `BadOption` for what cannot be read."""
    command, options = _parse_command(ask, menu)
    return Invocation(
        user=user,
        channel=channel,
        command=command,
        request_key=f"web:{ask.request_id}",
        options=options,
        attachments=ask.files,
    )


def format_request_text(ask: MessageRequest) -> str:
    """What the person is shown to have said: their words, and what they chose in the form."""
    return " ".join([ask.text.strip(), *(f"--{name} {_quote(value)}" for name, value in ask.options.items())])


def format_files_note(ask: MessageRequest) -> str:
    """The names of the files that came along, as a line under the words."""
    return "with " + ", ".join(file.name for file in ask.files.values()) if ask.files else ""


def list_suggestions(services: Services, command: str, option: str, typed: str) -> list[JSON]:
    """Suggestions for one option, at most `MAX_CHOICES`; none for an option that has none or is unknown."""
    form = next((form for form in services.menu if form.declaration.name == command), None)
    declared = form.declaration.option(option) if form else None
    if declared is None or declared.autocomplete is None:
        return []
    return [
        {"label": choice.label, "value": choice.value}
        for choice in declared.autocomplete(services, typed)[:MAX_CHOICES]
    ]


def _parse_command(ask: MessageRequest, menu: Menu) -> tuple[str, Mapping[str, OptionValue]]:
    """The typed command, with what was chosen in its form laid over what was typed."""
    if ask.text.lstrip().startswith("/"):
        call = parse_command(ask.text, menu)
        return call.command, {**call.options, **ask.options}
    # Plain words are never searched for options: "what does --count do?" is a question.
    words = find_command(menu, DEFAULT_COMMAND).declaration.words_option
    return DEFAULT_COMMAND, {words.name if words else "message": ask.text, **ask.options}


def _quote(value: OptionValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if any(sign.isspace() for sign in text) else text


def _declaration_to_json(declaration: Declaration) -> JSON:
    return {
        "name": declaration.name,
        "description": declaration.description,
        "rank": declaration.rank.name.lower(),
        "options": [_option_to_json(option) for option in declaration.options],
    }


def _option_to_json(option: Option) -> JSON:
    return {
        "name": option.name,
        "kind": option.kind.value,
        "question": option.question,
        "required": option.is_required,
        "default": option.default if isinstance(option.default, (str, int, float, bool)) else None,
        "minimum": option.minimum,
        "maximum": option.maximum,
        "max_length": option.max_length,
        "choices": list(option.choices),
        "autocomplete": option.autocomplete is not None,
        "words": option.words,
    }
