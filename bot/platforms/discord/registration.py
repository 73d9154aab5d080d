"""Registers the menu as Discord's application commands, if the commands at Discord differ.

The format: discord.com/developers/docs/interactions/application-commands
"""

import logging
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import discord

from bot.core.people import Rank
from bot.dispatch.declaration import MAX_CHOICES, Declaration, Option, OptionKind
from bot.dispatch.parsing import Menu
from bot.platforms.discord.discord_py_internals import Payload, RawRequests

log = logging.getLogger(__name__)

SUBCOMMAND, SUBCOMMAND_GROUP = 1, 2
OPTION_TYPES = {
    OptionKind.TEXT: 3,
    OptionKind.INTEGER: 4,
    OptionKind.FLAG: 5,
    OptionKind.PERSON: 6,
    OptionKind.CHANNEL: 7,
    OptionKind.ROLE: 8,
    OptionKind.NUMBER: 10,
    OptionKind.FILE: 11,
}
MANAGE_GUILD = str(1 << 5)
_SLASH, _ON_MESSAGE = 1, 3
_NUMBERS = (OptionKind.INTEGER, OptionKind.NUMBER)
_LONGEST_DESCRIPTION = 100
_LONGEST_TEXT = 6000
_LARGEST_INTEGER = 2**53
_MOST_OPTIONS = 25
_IN_GUILDS, _WITH_BOT, _ELSEWHERE = 0, 1, 2
_FOR_GUILDS, _FOR_USERS = 0, 1

_FURTHER_FILE, _FURTHER_KEY = "One more?", "further_file"

_TRANSLATIONS_FILE = Path(__file__).with_name("translations.toml")
# The fields that we set. Discord adds ids, versions and defaults.
_COMPARED_FIELDS = (
    *("type", "name", "description", "description_localizations", "options", "required", "autocomplete", "choices"),
    *("max_length", "min_value", "max_value", "value", "default_member_permissions", "contexts", "integration_types"),
)


async def register(client: discord.Client, menu: Menu, *, allow_user_installs: bool) -> bool:
    """Register the menu's commands; return whether a change was necessary.

    Compare first: reading is cheap, but Discord limits the creation of commands per day.
    """
    raw = RawRequests(client)
    wanted = build_application_commands(menu, allow_user_installs=allow_user_installs)
    if not compare_commands(await raw.fetch_commands(), wanted):
        return False
    await raw.replace_commands(wanted)
    log.info("discord.commands_registered", extra={"commands": len(wanted)})
    return True


def compare_commands(known: list[Payload], wanted: list[Payload]) -> list[str]:
    """Return the names of commands that are missing, changed or superfluous at Discord."""
    before, after = _index_by_name(known), _index_by_name(wanted)
    kept = {key for key in before.keys() & after.keys() if _strip(before[key]) == _strip(after[key])}
    return sorted(name for _, name in (before.keys() | after.keys()) - kept)


def _index_by_name(commands: Iterable[Payload]) -> dict[tuple[int, str], Payload]:
    return {(int(command.get("type", 1)), str(command["name"])): command for command in commands}


def _strip(command: Mapping[str, Any]) -> Payload:
    """Return a command or an option without server fields and empty fields, in a comparable order."""
    stripped = {name: command[name] for name in _COMPARED_FIELDS if command.get(name) not in (None, False, "", [], {})}
    for name in ("options", "choices"):
        if name in stripped:
            stripped[name] = [_strip(inner) for inner in stripped[name]]
    for name in ("contexts", "integration_types"):
        if name in stripped:
            stripped[name] = sorted(stripped[name])
    return stripped


def build_application_commands(menu: Menu, *, allow_user_installs: bool) -> list[Payload]:
    """Return the slash commands, grouped by their first word, and the message commands."""
    declarations = [form.declaration for form in menu]
    families: dict[str, list[Declaration]] = {}
    for declaration in declarations:
        families.setdefault(declaration.name_parts[0], []).append(declaration)
    slash_commands = [
        {**_build_command(name, members), **_build_contexts(members, allow_user_installs=allow_user_installs)}
        for name, members in families.items()
    ]
    message_commands = [
        {
            "type": _ON_MESSAGE,
            "name": entry.label,
            "default_member_permissions": _choose_permissions([declaration]),
            **_build_contexts([declaration], allow_user_installs=allow_user_installs),
        }
        for declaration in declarations
        for entry in declaration.menu_entries
    ]
    return [*slash_commands, *message_commands]


def _build_contexts(members: Sequence[Declaration], *, allow_user_installs: bool) -> Payload:
    # Moderators' commands act on a server. In direct messages the server would be unclear.
    if all(member.rank > Rank.USER for member in members):
        return {"contexts": [_IN_GUILDS], "integration_types": [_FOR_GUILDS]}
    if allow_user_installs:
        return {"contexts": [_IN_GUILDS, _WITH_BOT, _ELSEWHERE], "integration_types": [_FOR_GUILDS, _FOR_USERS]}
    return {"contexts": [_IN_GUILDS, _WITH_BOT], "integration_types": [_FOR_GUILDS]}


def _build_command(name: str, members: Sequence[Declaration]) -> Payload:
    """Return a command, or a first word with the commands below."""
    permissions = {"default_member_permissions": _choose_permissions(members)}
    first = members[0]
    if first.name_parts == (name,):
        return {
            "type": _SLASH,
            **_build_description(name, first.description, (name,)),
            "options": _build_options(first),
            **permissions,
        }
    verbs = ", ".join(member.name.removeprefix(f"{name} ") for member in members)
    options = _build_subcommands(members, depth=1)
    return {"type": _SLASH, "name": name, "description": _cut(f"{name}: {verbs}"), "options": options, **permissions}


def _build_subcommands(members: Sequence[Declaration], *, depth: int) -> list[Payload]:
    subcommands: list[Payload] = []
    groups: dict[str, list[Declaration]] = {}
    for member in members:
        words = member.name_parts
        if len(words) == depth + 1:
            description = _build_description(words[depth], member.description, (member.name,))
            subcommands.append({"type": SUBCOMMAND, **description, "options": _build_options(member)})
        else:
            groups.setdefault(words[depth], []).append(member)
    for name, inner in groups.items():
        verbs = ", ".join(member.name_parts[-1] for member in inner)
        options = _build_subcommands(inner, depth=depth + 1)
        group = {"type": SUBCOMMAND_GROUP, "name": name, "description": _cut(f"{name}: {verbs}"), "options": options}
        subcommands.append(group)
    return subcommands


def _choose_permissions(members: Sequence[Declaration]) -> str | None:
    """Return the permission that Discord requires by default for showing a command.

    Server admins can change the default, so the dispatcher checks ranks at each call. Commands that work anywhere are
    for the bot's owner, who need not administer the server.
    """
    is_for_all = any(member.rank is Rank.USER or member.works_anywhere for member in members)
    return None if is_for_all else MANAGE_GUILD


def _build_description(name: str, description: str, key: tuple[str, ...]) -> Payload:
    payload: Payload = {"name": name, "description": _cut(description)}
    if localizations := get_localizations(*key):
        payload["description_localizations"] = {locale: _cut(text) for locale, text in localizations.items()}
    return payload


def _build_options(declaration: Declaration) -> list[Payload]:
    # Discord refuses a required option after an optional one.
    ordered = sorted(declaration.options, key=lambda option: not _is_required(option))
    first = [_build_option(declaration, option) for option in ordered]
    # After all others: few people give several files.
    further = [
        {**_build_description(name, _FURTHER_FILE, (_FURTHER_KEY,)), "type": OPTION_TYPES[option.kind]}
        for option in ordered
        for name in option.file_names[1:]
    ]
    return [*first, *further][:_MOST_OPTIONS]


def _is_required(option: Option) -> bool:
    # A picture may be left out everywhere: the last picture of the channel counts.
    return option.is_required and option.kind is not OptionKind.FILE


def _build_option(declaration: Declaration, option: Option) -> Payload:
    payload = _build_description(option.name, option.question, (declaration.name, option.name))
    payload |= {"type": OPTION_TYPES[option.kind]}
    if _is_required(option):
        payload["required"] = True
    if _has_suggestions(option):
        payload["autocomplete"] = True
    elif option.choices:
        payload["choices"] = [{"name": choice, "value": choice} for choice in option.choices]
    if option.kind is OptionKind.TEXT and option.max_length and not option.choices:
        payload["max_length"] = min(option.max_length, _LONGEST_TEXT)
    if option.kind in _NUMBERS:
        payload |= _build_bounds(option)
    return payload


def _build_bounds(option: Option) -> Payload:
    values = {"min_value": option.minimum, "max_value": option.maximum}
    bounds = {name: bound for name, bound in values.items() if bound is not None}
    if option.kind is not OptionKind.INTEGER:
        return dict(bounds)
    # Discord sends integers as JSON numbers, exact up to 2^53.
    return {name: max(-_LARGEST_INTEGER, min(int(bound), _LARGEST_INTEGER)) for name, bound in bounds.items()}


def _has_suggestions(option: Option) -> bool:
    return option.autocomplete is not None or len(option.choices) > MAX_CHOICES


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


def get_localizations(*key: str) -> dict[str, str]:
    """Return the translated descriptions of a command, or of a command's option, by Discord's locale. May be empty."""
    return dict(_load_translations().get(".".join(key), {}))


@cache
def _load_translations() -> dict[str, dict[str, str]]:
    """Return the translations by key, `imagine` or `imagine.prompt`, and locale. Names stay English."""
    return tomllib.loads(_TRANSLATIONS_FILE.read_text(encoding="utf-8"))
