"""Validates commands beyond their JSON shape: discord.com/developers/docs/interactions/application-commands."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from tests.emulators.discord.state import Json
from tests.specs.discord_schemas import DiscordViolation, JsonPath

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
SUBCOMMAND, GROUP = 1, 2
MAX_COMMANDS = {CHAT_INPUT: 100, USER: 15, MESSAGE: 15}
MAX_CHARACTERS = 8000
_NAME = re.compile(r"[-_'\w]{1,32}")
_WORDS = {CHAT_INPUT: "slash commands", USER: "user commands", MESSAGE: "message commands"}
LOCALES = frozenset(
    [
        *("id", "da", "de", "en-GB", "en-US", "es-ES", "es-419", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl"),
        *("pt-BR", "ro", "fi", "sv-SE", "vi", "tr", "cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja"),
        *("zh-TW", "ko"),
    ]
)


def validate_command_set(commands: list[Json]) -> Iterator[DiscordViolation]:
    """Yield violations of all commands of one scope: the whole application or one guild."""
    types = Counter(get_command_type(command) for command in commands)
    for kind, number in types.items():
        if number > MAX_COMMANDS.get(kind, 1):
            yield DiscordViolation(
                (), "APPLICATION_COMMANDS_MAX", f"{number} {_WORDS[kind]}, at most {MAX_COMMANDS[kind]} allowed"
            )
    names = Counter((get_command_type(command), str(command.get("name"))) for command in commands)
    for (_, name), times in names.items():
        if times > 1:
            yield DiscordViolation((), "APPLICATION_COMMANDS_DUPLICATE_NAME", f"{name} appears {times} times")
    for number, command in enumerate(commands):
        yield from validate_command(command, (number,))


@lru_cache(maxsize=16)
def validate_command_set_text(text: str) -> tuple[DiscordViolation, ...]:
    """Return the violations of a command set in JSON. Each start of a bot registers the same menu."""
    return tuple(validate_command_set(json.loads(text)))


def get_command_type(command: Json) -> int:
    return int(command.get("type") or CHAT_INPUT)


def validate_command(command: Json, path: JsonPath = ()) -> Iterator[DiscordViolation]:
    if get_command_type(command) != CHAT_INPUT:
        if command.get("description"):
            yield DiscordViolation((*path, "description"), "APPLICATION_COMMAND_DESCRIPTION", "a context menu has none")
        if command.get("options"):
            yield DiscordViolation((*path, "options"), "APPLICATION_COMMAND_OPTIONS", "a context menu has none")
        return
    yield from _validate_names(command, path)
    yield from _validate_option_list(command.get("options") or [], (*path, "options"), depth=0)
    if (size := _size(command)) > MAX_CHARACTERS:
        yield DiscordViolation(
            path, "APPLICATION_COMMAND_TOO_LARGE", f"{size} characters, at most {MAX_CHARACTERS} allowed"
        )


def _validate_names(thing: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    names = {"name": thing.get("name") or "", **(thing.get("name_localizations") or {})}
    for key, name in names.items():
        if not _NAME.fullmatch(name) or name != name.lower():
            yield DiscordViolation(
                (*path, key), "APPLICATION_COMMAND_INVALID_NAME", f"{name!r} is no name for a command"
            )
    if not thing.get("description"):
        yield DiscordViolation((*path, "description"), "BASE_TYPE_REQUIRED", "this is required")
    yield from _validate_locale(thing, path)


def _validate_locale(thing: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    for field in ("name_localizations", "description_localizations"):
        for locale in thing.get(field) or {}:
            if locale not in LOCALES:
                yield DiscordViolation(
                    (*path, field, locale), "BASE_TYPE_CHOICES", f"{locale} is no locale of Discord's"
                )


def _validate_option_list(options: list[Json], path: JsonPath, *, depth: int) -> Iterator[DiscordViolation]:
    types = {option.get("type") in (SUBCOMMAND, GROUP) for option in options}
    if len(types) > 1:
        yield DiscordViolation(
            path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "subcommands and plain options are mixed"
        )
    for name, times in Counter(str(option.get("name")) for option in options).items():
        if times > 1:
            yield DiscordViolation(path, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATE", f"{name} appears {times} times")
    optional_came = False
    for number, option in enumerate(options):
        option_path = (*path, number)
        required = bool(option.get("required"))
        if required and optional_came:
            yield DiscordViolation(
                option_path, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "required options stand first"
            )
        optional_came |= not required
        yield from _validate_option(option, option_path, depth=depth)


def _validate_option(option: Json, path: JsonPath, *, depth: int) -> Iterator[DiscordViolation]:
    yield from _validate_names(option, path)
    kind = option.get("type")
    if kind in (SUBCOMMAND, GROUP):
        if depth > (kind == SUBCOMMAND):
            yield DiscordViolation(path, "APPLICATION_COMMAND_OPTIONS_NESTING", "subcommands are nested too deeply")
        yield from _validate_option_list(option.get("options") or [], (*path, "options"), depth=depth + 1)
        return
    choices = option.get("choices") or []
    if choices and option.get("autocomplete"):
        yield DiscordViolation(
            path, "APPLICATION_COMMAND_OPTION_AUTOCOMPLETE", "choices and autocomplete exclude each other"
        )
    for field in ("name", "value"):
        for text, times in Counter(choice.get(field) for choice in choices).items():
            if times > 1:
                yield DiscordViolation(
                    (*path, "choices"), "APPLICATION_COMMAND_OPTIONS_CHOICE_DUPLICATE", f"{text} twice"
                )
    for choice in choices:
        yield from _validate_locale(choice, (*path, "choices"))
    yield from _validate_bound(option, path)


def _validate_bound(option: Json, path: JsonPath) -> Iterator[DiscordViolation]:
    for minimum, maximum in (("min_value", "max_value"), ("min_length", "max_length")):
        low, high = option.get(minimum), option.get(maximum)
        if low is not None and high is not None and low > high:
            yield DiscordViolation(
                path, "APPLICATION_COMMAND_OPTION_BOUNDS", f"{minimum} {low} is above {maximum} {high}"
            )


def _size(thing: Mapping[str, Any]) -> int:
    """Count the characters of names, descriptions and values; of a text and its translations, the longest counts."""
    total = sum(_longest(thing, field) for field in ("name", "description"))
    total += sum(_longest(choice, "name") + len(str(choice.get("value"))) for choice in thing.get("choices") or ())
    return total + sum(_size(option) for option in thing.get("options") or ())


def _longest(thing: Mapping[str, Any], field: str) -> int:
    texts = [thing.get(field) or "", *(thing.get(f"{field}_localizations") or {}).values()]
    return max(map(len, texts))
