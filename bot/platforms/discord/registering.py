"""Discord is told the commands when they are not what it knows already: it allows this only so often."""

import logging
from typing import Any

import discord
from discord.http import Route

from bot.dispatch.parser import Menu
from bot.platforms.discord.commands import Payload, build_application_commands, strip_server_fields

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
