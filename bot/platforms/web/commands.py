"""Converts the command menu to JSON for the page's forms, and the page's requests to invocations."""

import re
from collections.abc import Mapping

from bot.catalogue.loading import BUILT_IN_BACKEND
from bot.core.http_headers import KEY_PREFIX
from bot.core.invocations import Invocation
from bot.core.json import JSON, as_object
from bot.core.people import Channel, User
from bot.dispatch.declaration import MAX_CHOICES, Declaration, Option, OptionKind, OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.dispatch.parsing import Menu, find_command, is_undo, parse_command
from bot.dispatch.plain_text import DEFAULT_COMMAND, UNDO_COMMAND
from bot.platforms.web.request_parsing import MessageRequest

_NAME_CHARACTERS = 100
_MAX_OFFERED = 6
_WEBHOOK_SECRET = re.compile(rf"{KEY_PREFIX}[^\s\"']+")


def menu_to_json(services: Services) -> JSON:
    """Return every command with the options of the form, in the menu's order, and a sentence about own servers."""
    commands: list[JSON] = [_declaration_to_json(form.declaration) for form in services.menu]
    return {"commands": commands, "plain": DEFAULT_COMMAND, "offer": _describe_own_servers(services)}


def _describe_own_servers(services: Services) -> str:
    """Return a sentence with the models on servers of the owner; empty without such models."""
    own = [model for model in services.catalogue.list_all() if model.backend != BUILT_IN_BACKEND]
    names = [f"{model.title} ({model.backend}, /{model.task})" for model in own[:_MAX_OFFERED]]
    more = ", …" if len(own) > _MAX_OFFERED else ""
    return f"Also on our own machines: {', '.join(names)}{more}." if own else ""


def build_invocation(request: MessageRequest, menu: Menu, user: User, channel: Channel) -> Invocation:
    """Return the invocation of a request. Raise `UnknownName` or `BadOption` if the text cannot be parsed."""
    command, options = _parse_command(request, menu)
    return Invocation(
        user=user,
        channel=channel,
        command=command,
        request_key=f"web:{request.request_id}",
        options=options,
        attachments=request.files,
    )


def format_request_text(request: MessageRequest) -> str:
    """Return the text of the user's own message: the typed words and the form's options, without webhook secrets."""
    text = " ".join([request.text.strip(), *(f"--{name} {_quote(value)}" for name, value in request.options.items())])
    # The page keeps messages and exports them: a secret of /settings webhook belongs into neither.
    return _WEBHOOK_SECRET.sub(f"{KEY_PREFIX}…", text)


def format_files_note(request: MessageRequest) -> str:
    """Return the names of attached files, for the line under the words."""
    names = [file.name for file in request.files.values()]
    names = [name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…" for name in names]
    return "with " + ", ".join(names) if names else ""


async def list_suggestions(
    services: Services, user: User, command: str, option: str, typed: str, given: Mapping[str, OptionValue]
) -> list[JSON]:
    """Return at most `MAX_CHOICES` suggestions for an option; an empty list for an unknown option.

    `given` are the values of the form's other fields.
    """
    form = next((form for form in services.menu if form.declaration.name == command), None)
    option_declaration = form.declaration.option(option) if form else None
    if option_declaration is None or option_declaration.autocomplete is None:
        return []
    services = await services.prepare_suggestions(option_declaration, user, typed)
    return [
        {"label": choice.label, "value": choice.value}
        for choice in option_declaration.autocomplete(services, typed, given)[:MAX_CHOICES]
    ]


def _parse_command(request: MessageRequest, menu: Menu) -> tuple[str, Mapping[str, OptionValue]]:
    """Return command and options. Options of the form override typed options."""
    if request.text.lstrip().startswith("/"):
        call = parse_command(request.text, menu)
        return call.command, {**call.options, **request.options}
    if is_undo(request.text):
        return UNDO_COMMAND, request.options
    # Plain words are not parsed for options: "what does --count do?" is a question.
    words = find_command(menu, DEFAULT_COMMAND).declaration.words_option
    return DEFAULT_COMMAND, {words.name if words else "message": request.text, **request.options}


def _quote(value: OptionValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if any(character.isspace() for character in text) else text


def form_to_json(draft: FormDraft) -> JSON:
    """Return the form of a button: the title, and the options with their known values."""
    named = [option for name in draft.option_names if (option := draft.declaration.option(name)) is not None]
    options = named or list(draft.declaration.options)
    fields: list[JSON] = [
        {**as_object(_option_to_json(option)), "value": draft.values.get(option.name)}
        for option in options
        if draft.asks_files or option.kind is not OptionKind.FILE
    ]
    return {"title": draft.title, "options": fields}


def _declaration_to_json(declaration: Declaration) -> JSON:
    return {
        "name": declaration.name,
        "description": declaration.description,
        "rank": declaration.rank.name.lower(),
        "options": [_option_to_json(option) for option in declaration.options if option.on_page],
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
        "files": list(option.file_names) if option.kind is OptionKind.FILE else [],
        "media": list(option.media) if option.kind is OptionKind.FILE else [],
    }
