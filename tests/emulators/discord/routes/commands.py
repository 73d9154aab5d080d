"""Registering commands, for the whole application or for one guild."""

from tests.emulators.discord.calls import Answer, Call
from tests.emulators.discord.command_rules import command_faults, command_set_faults, kind_of
from tests.emulators.discord.refusals import (
    TOO_MANY_NEW_COMMANDS,
    UNKNOWN_COMMAND,
    UNKNOWN_USER,
    Refused,
    check,
)
from tests.emulators.discord.world import Json

MOST_CREATES_A_DAY = 200


def _scope(call: Call) -> int | None:
    """The guild's id; None for the whole application."""
    if int(call.parameters["application_id"]) != call.world.application_id:
        raise Refused(UNKNOWN_USER)
    return call.guild().id if "guild_id" in call.parameters else None


def _registered(call: Call) -> list[Json]:
    scope = _scope(call)
    wanted = None if scope is None else str(scope)
    return [command for command in call.world.commands.values() if command.get("guild_id") == wanted]


def _one(call: Call) -> Json:
    for command in _registered(call):
        if command["id"] == call.parameters["command_id"]:
            return command
    raise Refused(UNKNOWN_COMMAND)


def list_commands(call: Call) -> Answer:
    hide = call.query.get("with_localizations", "").lower() not in ("true", "1")
    return 200, [_without_translations(command) if hide else command for command in _registered(call)]


def get_command(call: Call) -> Answer:
    return 200, _one(call)


def replace_commands(call: Call) -> Answer:
    wanted: list[Json] = call.body or []
    check(list(command_set_faults(wanted)))
    known = {(command["type"], command["name"]): command for command in _registered(call)}
    kept = [_keep(call, command, known.get((kind_of(command), command["name"]))) for command in wanted]
    kept_ids = {command["id"] for command in kept}
    for old in known.values():
        if old["id"] not in kept_ids:
            del call.world.commands[int(old["id"])]
    call.world.changes.happened()
    return 200, kept


def create_command(call: Call) -> Answer:
    registered = _registered(call)
    others = [one for one in registered if (one["type"], one["name"]) != (kind_of(call.body), call.body["name"])]
    check(list(command_faults(call.body)))
    check(list(command_set_faults([*others, call.body])))
    old = next((command for command in registered if command not in others), None)
    made = _keep(call, call.body, old)
    call.world.changes.happened()
    return (200 if old else 201), made


def edit_command(call: Call) -> Answer:
    old = _one(call)
    changed = {**old, **call.body}
    check(list(command_faults(changed)))
    return 200, _keep(call, changed, old)


def delete_command(call: Call) -> Answer:
    del call.world.commands[int(_one(call)["id"])]
    call.world.changes.happened()
    return 204, None


def _keep(call: Call, wanted: Json, old: Json | None) -> Json:
    """Changed in place where it was registered before: its id stays."""
    if old is None:
        call.emulator.commands_created_today += 1
        if call.emulator.commands_created_today > MOST_CREATES_A_DAY:
            raise Refused(TOO_MANY_NEW_COMMANDS)
    scope = _scope(call)
    powers = wanted.get("default_member_permissions")
    made: Json = {
        "id": old["id"] if old else str(call.world.ids.next()),
        "application_id": str(call.world.application_id),
        "version": str(call.world.ids.next()),
        "type": kind_of(wanted),
        "name": wanted["name"],
        "name_localizations": wanted.get("name_localizations"),
        "description": wanted.get("description") or "",
        "description_localizations": wanted.get("description_localizations"),
        "default_member_permissions": None if powers is None else str(powers),
        "dm_permission": wanted.get("dm_permission") is not False,
        "contexts": wanted.get("contexts"),
        "integration_types": wanted.get("integration_types") or [0],
        "nsfw": bool(wanted.get("nsfw")),
    }
    if wanted.get("options"):
        made["options"] = wanted["options"]
    if scope is not None:
        made["guild_id"] = str(scope)
    call.world.commands[int(made["id"])] = made
    return made


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
