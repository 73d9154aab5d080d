"""Routes that register commands, for the whole application or for a guild."""

import json

from tests.emulators.discord.command_rules import (
    get_command_type,
    validate_command,
    validate_command_set,
    validate_command_set_text,
)
from tests.emulators.discord.errors import (
    TOO_MANY_NEW_COMMANDS,
    UNKNOWN_COMMAND,
    UNKNOWN_USER,
    DiscordErrorResponse,
    raise_if_invalid,
)
from tests.emulators.discord.request_context import DiscordRequestContext, RouteResponse
from tests.emulators.discord.state import Json

MAX_CREATES_PER_DAY = 200


def _get_scope_guild_id(context: DiscordRequestContext) -> int | None:
    """Return the guild's id; None for the whole application."""
    if int(context.parameters["application_id"]) != context.state.application_id:
        raise DiscordErrorResponse(UNKNOWN_USER)
    return context.get_guild().id if "guild_id" in context.parameters else None


def _list_registered(context: DiscordRequestContext) -> list[Json]:
    scope = _get_scope_guild_id(context)
    wanted = None if scope is None else str(scope)
    return [command for command in context.state.commands.values() if command.get("guild_id") == wanted]


def _get_command(context: DiscordRequestContext) -> Json:
    for command in _list_registered(context):
        if command["id"] == context.parameters["command_id"]:
            return command
    raise DiscordErrorResponse(UNKNOWN_COMMAND)


def list_commands(context: DiscordRequestContext) -> RouteResponse:
    hide = context.query.get("with_localizations", "").lower() not in ("true", "1")
    return 200, [_without_translations(command) if hide else command for command in _list_registered(context)]


def get_command(context: DiscordRequestContext) -> RouteResponse:
    return 200, _get_command(context)


def replace_commands(context: DiscordRequestContext) -> RouteResponse:
    wanted: list[Json] = context.body or []
    raise_if_invalid(list(validate_command_set_text(json.dumps(wanted))))
    known = {(command["type"], command["name"]): command for command in _list_registered(context)}
    kept = [
        _store_command(context, command, known.get((get_command_type(command), command["name"]))) for command in wanted
    ]
    kept_ids = {command["id"] for command in kept}
    for existing in known.values():
        if existing["id"] not in kept_ids:
            del context.state.commands[int(existing["id"])]
    context.state.changes.notify()
    return 200, kept


def create_command(context: DiscordRequestContext) -> RouteResponse:
    registered = _list_registered(context)
    others = [
        other
        for other in registered
        if (other["type"], other["name"]) != (get_command_type(context.body), context.body["name"])
    ]
    raise_if_invalid(list(validate_command(context.body)))
    raise_if_invalid(list(validate_command_set([*others, context.body])))
    existing = next((command for command in registered if command not in others), None)
    made = _store_command(context, context.body, existing)
    context.state.changes.notify()
    return (200 if existing else 201), made


def edit_command(context: DiscordRequestContext) -> RouteResponse:
    existing = _get_command(context)
    changed = {**existing, **context.body}
    raise_if_invalid(list(validate_command(changed)))
    return 200, _store_command(context, changed, existing)


def delete_command(context: DiscordRequestContext) -> RouteResponse:
    del context.state.commands[int(_get_command(context)["id"])]
    context.state.changes.notify()
    return 204, None


def _store_command(context: DiscordRequestContext, wanted: Json, existing: Json | None) -> Json:
    """Register a command; the id of an earlier registration stays."""
    if existing is None:
        context.emulator.commands_created_today += 1
        if context.emulator.commands_created_today > MAX_CREATES_PER_DAY:
            raise DiscordErrorResponse(TOO_MANY_NEW_COMMANDS)
    scope = _get_scope_guild_id(context)
    permissions = wanted.get("default_member_permissions")
    command: Json = {
        "id": existing["id"] if existing else str(context.state.ids.next()),
        "application_id": str(context.state.application_id),
        "version": str(context.state.ids.next()),
        "type": get_command_type(wanted),
        "name": wanted["name"],
        "name_localizations": wanted.get("name_localizations"),
        "description": wanted.get("description") or "",
        "description_localizations": wanted.get("description_localizations"),
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": wanted.get("dm_permission") is not False,
        "contexts": wanted.get("contexts"),
        "integration_types": wanted.get("integration_types") or [0],
        "nsfw": bool(wanted.get("nsfw")),
    }
    if wanted.get("options"):
        command["options"] = wanted["options"]
    if scope is not None:
        command["guild_id"] = str(scope)
    context.state.commands[int(command["id"])] = command
    return command


def _without_translations(command: Json) -> Json:
    hidden = ("name_localizations", "description_localizations")
    return {name: value for name, value in command.items() if name not in hidden}


ROUTES = {
    "list_application_commands": list_commands,
    "bulk_set_application_commands": replace_commands,
    "create_application_command": create_command,
    "get_application_command": get_command,
    "update_application_command": edit_command,
    "delete_application_command": delete_command,
    "list_guild_application_commands": list_commands,
    "bulk_set_guild_application_commands": replace_commands,
    "create_guild_application_command": create_command,
    "get_guild_application_command": get_command,
    "update_guild_application_command": edit_command,
    "delete_guild_application_command": delete_command,
}
