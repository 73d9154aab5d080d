"""Descriptions in other languages, as Discord shows them to people whose client speaks one. Names stay English."""

import logging
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import discord
from discord.http import Route

from bot.core.invocations import Attachment
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue
from bot.dispatch.parsing import Menu

_FILE = Path(__file__).with_name("translations.toml")


@cache
def _load_translations() -> dict[str, dict[str, str]]:
    """By what is translated, `imagine` or `imagine.prompt`: texts by Discord's name of the language."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def get_localizations(*key: str) -> dict[str, str]:
    """The texts for a command, or for one of its options; none where nobody translated it."""
    return dict(_load_translations().get(".".join(key), {}))


# MERGED The menu as Discord's application commands, and what Discord sends of one as the trunk's call.

Payload = dict[str, Any]
DownloadFile = Callable[[str], Awaitable[bytes]]
"""Downloads a file by its address; raises a `UserError`."""

_SLASH, _ON_MESSAGE = 1, 3
_SUBCOMMAND, _GROUP = 1, 2
_FOCUS = "focused"
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
_NUMBERS = (OptionKind.INTEGER, OptionKind.NUMBER)
_LONGEST_DESCRIPTION = 100
_LONGEST_TEXT = 6000
_MOST_CHOICES = 25
_LARGEST_INTEGER = 2**53
MANAGE_GUILD = str(1 << 5)
_IN_GUILDS, _WITH_BOT, _ELSEWHERE = 0, 1, 2
_FOR_GUILDS, _FOR_USERS = 0, 1


def build_application_commands(menu: Menu, *, allow_user_installs: bool) -> list[Payload]:
    """Every command of the menu as Discord registers it, groups under their first word, and those of messages."""
    declarations = [form.declaration for form in menu]
    families: dict[str, list[Declaration]] = {}
    for declaration in declarations:
        families.setdefault(declaration.name_parts[0], []).append(declaration)
    slashes = [
        {**_build_command(name, members), **_build_contexts(members, allow_user_installs=allow_user_installs)}
        for name, members in families.items()
    ]
    menus = [
        {
            "type": _ON_MESSAGE,
            "name": label,
            "default_member_permissions": _choose_permissions([declaration]),
            **_build_contexts([declaration], allow_user_installs=allow_user_installs),
        }
        for declaration in declarations
        for label in declaration.contexts.values()
    ]
    return [*slashes, *menus]


def _build_contexts(members: Sequence[Declaration], *, allow_user_installs: bool) -> Payload:
    """Where it is offered. What moderators and the owner do concerns a server, and is done there."""
    if all(member.rank > Rank.USER for member in members):
        return {"contexts": [_IN_GUILDS], "integration_types": [_FOR_GUILDS]}
    if allow_user_installs:
        return {"contexts": [_IN_GUILDS, _WITH_BOT, _ELSEWHERE], "integration_types": [_FOR_GUILDS, _FOR_USERS]}
    return {"contexts": [_IN_GUILDS, _WITH_BOT], "integration_types": [_FOR_GUILDS]}


def _build_command(name: str, members: Sequence[Declaration]) -> Payload:
    """One command, or a first word with the commands under it."""
    powers = {"default_member_permissions": _choose_permissions(members)}
    only = members[0]
    if only.name_parts == (name,):
        return {
            "type": _SLASH,
            **_build_description(name, only.description, (name,)),
            "options": _build_options(only),
            **powers,
        }
    verbs = ", ".join(member.name.removeprefix(f"{name} ") for member in members)
    options = _build_subcommands(members, depth=1)
    return {"type": _SLASH, "name": name, "description": _cut(f"{name}: {verbs}"), "options": options, **powers}


def _build_subcommands(members: Sequence[Declaration], *, depth: int) -> list[Payload]:
    made: list[Payload] = []
    groups: dict[str, list[Declaration]] = {}
    for member in members:
        words = member.name_parts
        if len(words) == depth + 1:
            described = _build_description(words[depth], member.description, (member.name,))
            made.append({"type": _SUBCOMMAND, **described, "options": _build_options(member)})
        else:
            groups.setdefault(words[depth], []).append(member)
    for name, inner in groups.items():
        verbs = ", ".join(member.name_parts[-1] for member in inner)
        options = _build_subcommands(inner, depth=depth + 1)
        made.append({"type": _GROUP, "name": name, "description": _cut(f"{name}: {verbs}"), "options": options})
    return made


def _choose_permissions(members: Sequence[Declaration]) -> str | None:
    """Who sees it before a server's admins decide otherwise; whoever calls it is checked each time all the same.

    What works anywhere is for the bot's owner, who need not administer the server.
    """
    is_for_all = any(member.rank is Rank.USER or member.works_anywhere for member in members)
    return None if is_for_all else MANAGE_GUILD


def _build_description(name: str, description: str, key: tuple[str, ...]) -> Payload:
    told: Payload = {"name": name, "description": _cut(description)}
    if translated := get_localizations(*key):
        told["description_localizations"] = {locale: _cut(text) for locale, text in translated.items()}
    return told


def _build_options(declaration: Declaration) -> list[Payload]:
    """Required ones first, as Discord wants them."""
    ordered = sorted(declaration.options, key=lambda option: not option.is_required)
    return [_build_option(declaration, option) for option in ordered[:_MOST_CHOICES]]


def _build_option(declaration: Declaration, option: Option) -> Payload:
    told = _build_description(option.name, option.question, (declaration.name, option.name))
    told |= {"type": OPTION_TYPES[option.kind]}
    if option.is_required:
        told["required"] = True
    if has_suggestions(option):
        told["autocomplete"] = True
    elif option.choices:
        told["choices"] = [{"name": choice, "value": choice} for choice in option.choices]
    if option.kind is OptionKind.TEXT and option.max_length and not option.choices:
        told["max_length"] = min(option.max_length, _LONGEST_TEXT)
    if option.kind in _NUMBERS:
        told |= _build_bounds(option)
    return told


def _build_bounds(option: Option) -> Payload:
    told = {"min_value": option.minimum, "max_value": option.maximum}
    bounds = {name: bound for name, bound in told.items() if bound is not None}
    if option.kind is not OptionKind.INTEGER:
        return dict(bounds)
    return {name: max(-_LARGEST_INTEGER, min(int(bound), _LARGEST_INTEGER)) for name, bound in bounds.items()}


def has_suggestions(option: Option) -> bool:
    """Whether choices come while somebody types: the option's own, or more of them than a list holds."""
    return option.autocomplete is not None or len(option.choices) > _MOST_CHOICES


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


@dataclass(frozen=True, slots=True)
class SlashInvocation:
    """What somebody typed: the command's whole name, its options, its files as Discord tells of them."""

    command: str
    options: Mapping[str, OptionValue]
    files: Mapping[str, Payload]
    focused_option: str = ""
    """The option being typed, while Discord asks for suggestions."""
    member_names: Mapping[str, str] = field(default_factory=dict)
    """Members of this server that options name: their names by id."""


def parse_slash_command(data: Mapping[str, Any]) -> SlashInvocation:
    """What a slash command's interaction says."""
    words, given = [str(data["name"])], list(data.get("options") or ())
    while given and given[0]["type"] in (_SUBCOMMAND, _GROUP):
        words.append(str(given[0]["name"]))
        given = list(given[0].get("options") or ())
    resolved = data.get("resolved", {})
    attached = resolved.get("attachments", {})
    is_file = OPTION_TYPES[OptionKind.FILE]
    return SlashInvocation(
        " ".join(words),
        {option["name"]: option["value"] for option in given if option["type"] != is_file and "value" in option},
        # While somebody still types, a chosen file is named but not told of.
        {
            option["name"]: attached[option["value"]]
            for option in given
            if option["type"] == is_file and option["value"] in attached
        },
        next((option["name"] for option in given if option.get(_FOCUS)), ""),
        {str(who): _choose_name(member, resolved["users"][who]) for who, member in resolved.get("members", {}).items()},
    )


def _choose_name(member: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    """What people here call somebody."""
    return str(member.get("nick") or user.get("global_name") or user["username"])


def find_message_command(menu: Menu, label: str) -> Declaration | None:
    """The command that is called so in the menu of a message."""
    found = (form.declaration for form in menu)
    return next((declaration for declaration in found if label in declaration.contexts.values()), None)


def build_attachment(raw: Mapping[str, Any], read: DownloadFile) -> Attachment:
    """A file that somebody attached. Its kind and size are what Discord claims."""
    address = str(raw["url"])
    mime = str(raw.get("content_type") or "application/octet-stream").partition(";")[0]
    return Attachment(str(raw["filename"]), mime, int(raw["size"]), lambda: read(address))


def strip_server_fields(commands: Iterable[Mapping[str, Any]]) -> list[Payload]:
    """What Discord says is registered, without what it adds, to be compared with what should be."""
    return [_keep_essential(command) for command in commands]


_ESSENTIAL = (
    *("type", "name", "description", "description_localizations", "options", "required", "autocomplete", "choices"),
    *("max_length", "min_value", "max_value", "value", "default_member_permissions", "contexts", "integration_types"),
)


def _keep_essential(told: Mapping[str, Any]) -> Payload:
    kept = {name: told[name] for name in _ESSENTIAL if told.get(name) not in (None, False, "", [], {})}
    for name in ("options", "choices"):
        if name in kept:
            kept[name] = [_keep_essential(inner) for inner in kept[name]]
    for name in ("contexts", "integration_types"):
        if name in kept:
            kept[name] = sorted(kept[name])
    return kept


# MERGED Discord is told the commands when they are not what it knows already: it allows this only so often.

log = logging.getLogger(__name__)


async def register(client: discord.Client, menu: Menu, *, allow_user_installs: bool) -> bool:
    """Make Discord's commands the menu's; gives whether anything had to change."""
    wanted = build_application_commands(menu, allow_user_installs=allow_user_installs)
    if not compare_commands(await fetch_commands(client), wanted):
        return False
    await client.http.bulk_upsert_global_commands(_get_application_id(client), wanted)
    log.info("discord.commands_registered", extra={"commands": len(wanted)})
    return True


async def fetch_commands(client: discord.Client) -> list[Payload]:
    """What Discord knows, as it tells."""
    route = Route("GET", "/applications/{application_id}/commands", application_id=_get_application_id(client))
    told: list[Payload] = await client.http.request(route, params={"with_localizations": "true"})
    return told


def compare_commands(known: list[Payload], wanted: list[Payload]) -> list[str]:
    """The names of commands that are missing, changed or too many at Discord."""
    before, after = _index_by_name(known), _index_by_name(wanted)
    return sorted(key[1] for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _index_by_name(commands: list[Payload]) -> dict[tuple[int, str], Any]:
    return {(int(one.get("type", 1)), str(one["name"])): one for one in strip_server_fields(commands)}


def _get_application_id(client: discord.Client) -> int:
    return client.application_id or 0
