"""Builds interaction data from a person's input, with the refusals of Discord's own client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord.files import DiscordFileUpload, build_file_url, store_file
from tests.emulators.discord.interactions import DiscordModalState
from tests.emulators.discord.message_payloads import attachment_json
from tests.emulators.discord.messages import SELECTS, STRING_SELECT, DiscordAttachmentState
from tests.emulators.discord.payloads import channel_json, member_json, role_json, user_json
from tests.emulators.discord.state import (
    DiscordChannelState,
    DiscordGuildState,
    DiscordRoleState,
    DiscordState,
    DiscordUserState,
    Json,
)

SUBCOMMAND, GROUP = 1, 2
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(3, 12)


class ActionNotAvailable(AssertionError):
    """The person's client does not offer this action."""


@dataclass
class InteractionDataBuilder:
    """Builds the data of an interaction and collects the objects that options refer to in `resolved`."""

    world: DiscordState
    channel: DiscordChannelState
    resolved: Json = field(default_factory=dict)

    def fill_options(self, known: list[Json], given: Mapping[str, Any], *, focused: str | None = None) -> list[Json]:
        """Return options in the command's order. Raise `ActionNotAvailable` for unknown, missing or invalid values."""
        names = {option["name"] for option in known}
        if unknown := set(given) - names:
            raise ActionNotAvailable(
                f"there is no option {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}"
            )
        filled = []
        for option in known:
            if option["name"] in given:
                filled.append(self._option(option, given[option["name"]], is_focused=option["name"] == focused))
            elif option.get("required") and focused is None:
                raise ActionNotAvailable(f"{option['name']} is required")
        return filled

    def _option(self, option: Json, value: Any, *, is_focused: bool) -> Json:
        payload: Json = {"name": option["name"], "type": option["type"]}
        if is_focused:
            if not option.get("autocomplete"):
                raise ActionNotAvailable(f"{option['name']} has no autocompletion")
            return payload | {"value": str(value), "focused": True}
        return payload | {"value": self._value(option, value)}

    def _value(self, option: Json, value: Any) -> Any:
        kind = option["type"]
        if kind in (STRING, INTEGER, NUMBER):
            _check_bounds(option, value)
            return value
        if kind == BOOLEAN:
            return bool(value)
        if kind == ATTACHMENT:
            return self.upload_file(value)
        return self.resolve(value)

    def resolve(self, thing: Any) -> str:
        """Add a user, role or channel to `resolved`; return the id."""
        if isinstance(thing, DiscordRoleState):
            self._resolve("roles", thing.id, role_json(thing))
        elif isinstance(thing, DiscordChannelState):
            self._resolve("channels", thing.id, channel_json(thing) | {"permissions": "0"})
        else:
            user: DiscordUserState = getattr(thing, "user", thing)
            self._resolve("users", user.id, user_json(user))
            member = self.channel.guild.members.get(user.id) if self.channel.guild else None
            if member:
                payload = member_json(member, channel=self.channel, with_user=False)
                self._resolve("members", user.id, payload)
            return str(user.id)
        return str(thing.id)

    def upload_file(self, value: DiscordFileUpload | bytes) -> str:
        """Store a file of an option and return the id. Such files lie under their own path, `ephemeral-attachments`."""
        upload = value if isinstance(value, DiscordFileUpload) else DiscordFileUpload("picture.png", value)
        attachment: DiscordAttachmentState = store_file(self.world, self.channel, upload)
        attachment.is_ephemeral = True
        folder = "ephemeral-attachments"
        attachment.url = build_file_url(self.world, folder, self.channel, attachment.id, attachment.filename)
        self._resolve("attachments", attachment.id, attachment_json(attachment))
        return str(attachment.id)

    def _resolve(self, kind: str, object_id: int, payload: Json) -> None:
        self.resolved.setdefault(kind, {})[str(object_id)] = payload


def _check_bounds(option: Json, value: Any) -> None:
    kind, name = option["type"], option["name"]
    wanted = {STRING: str, INTEGER: int, NUMBER: (int, float)}[kind]
    if not isinstance(value, wanted) or isinstance(value, bool):  # type: ignore[arg-type] # a class or two
        raise ActionNotAvailable(f"{name} takes no {value!r}")
    if choices := option.get("choices"):
        if value not in [choice["value"] for choice in choices]:
            raise ActionNotAvailable(f"{name} offers {[choice['value'] for choice in choices]}, not {value!r}")
        return
    size = len(value) if isinstance(value, str) else value
    minimum, maximum = ("min_length", "max_length") if kind == STRING else ("min_value", "max_value")
    if option.get(minimum) is not None and size < option[minimum]:
        raise ActionNotAvailable(f"{name} is below {option[minimum]}")
    if option.get(maximum) is not None and size > option[maximum]:
        raise ActionNotAvailable(f"{name} is above {option[maximum]}")


def find_command(state: DiscordState, guild: DiscordGuildState | None, name: str, kind: int = 1) -> Json | None:
    """Return a guild's own command before the application's command of the same name; None if there is neither."""
    scopes = [None if guild is None else str(guild.id), None]
    for scope in scopes:
        for command in state.commands.values():
            if (command["name"], command["type"], command.get("guild_id")) == (name, kind, scope):
                return command
    return None


def fill_nested_options(
    command: Json, path: list[str], filled: Mapping[str, Any], builder: InteractionDataBuilder, focused: str | None
) -> list[Json]:
    """Return the options below the subcommands of `path`. Raise `ActionNotAvailable` for an unknown subcommand."""
    if not path:
        return builder.fill_options(command.get("options") or [], filled, focused=focused)
    for option in command.get("options") or []:
        if option["name"] == path[0] and option["type"] in (SUBCOMMAND, GROUP):
            inner = fill_nested_options(option, path[1:], filled, builder, focused)
            return [{"name": path[0], "type": option["type"], "options": inner}]
    raise ActionNotAvailable(f"{command['name']} has no subcommand {path[0]}")


ROW, TEXT_INPUT, TEXT_DISPLAY, LABEL = 1, 4, 10, 18
FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 19, 21, 22, 23


def list_fields(modal: DiscordModalState) -> dict[str, Json]:
    """Return a modal's inputs by label."""
    found = {}
    for row in modal.components:
        if row["type"] == LABEL:
            found[str(row["label"])] = row["component"]
        elif row["type"] == ROW:
            for child in row["components"]:
                found[str(child["label"])] = child
    return found


def list_defaults(modal: DiscordModalState) -> dict[str, Any]:
    """Return a modal's initial values by label."""
    return {label: _get_default(node) for label, node in list_fields(modal).items()}


def build_submission(modal: DiscordModalState, values: Mapping[str, Any], builder: InteractionDataBuilder) -> Json:
    """Return the data of a modal submit, with values by label or custom id and initial values for the other fields.
    Raise `ActionNotAvailable` for values that the client refuses.
    """
    known = list_fields(modal)
    by_name = {**{node["custom_id"]: node for node in known.values()}, **known}
    if unknown := set(values) - by_name.keys():
        raise ActionNotAvailable(f"the form has no field {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    given = {by_name[name]["custom_id"]: value for name, value in values.items()}
    rows = [_build_row(row, given, builder) for row in modal.components]
    data: Json = {"custom_id": modal.custom_id, "components": rows}
    return data | ({"resolved": builder.resolved} if builder.resolved else {})


def _build_row(row: Json, given: Mapping[str, Any], builder: InteractionDataBuilder) -> Json:
    payload: Json = {"type": row["type"], "id": row.get("id") or 1}
    if row["type"] == LABEL:
        return payload | {"component": _build_field(row["component"], str(row["label"]), given, builder)}
    if row["type"] == ROW:
        return payload | {
            "components": [_build_field(node, str(node["label"]), given, builder) for node in row["components"]]
        }
    return payload


def _build_field(node: Json, label: str, given: Mapping[str, Any], builder: InteractionDataBuilder) -> Json:
    kind = node["type"]
    value = given[node["custom_id"]] if node["custom_id"] in given else _get_default(node)
    is_empty = value in (None, "", [])
    if is_empty and node.get("required") is not False and kind != CHECKBOX:
        raise ActionNotAvailable(f"{label} is required")
    payload: Json = {"type": kind, "custom_id": node["custom_id"], "id": node.get("id") or 1}
    if kind == TEXT_INPUT:
        return payload | {"value": _check_text(node, label, value or "")}
    if kind == CHECKBOX:
        return payload | {"value": bool(value)}
    if kind == RADIO_GROUP:
        return payload | {"value": None if is_empty else _check_offered(node, label, [value])[0]}
    entries = value if isinstance(value, list) else [] if is_empty else [value]
    _check_count(node, label, entries)
    if kind == FILE_UPLOAD:
        return payload | {"values": [builder.upload_file(entry) for entry in entries]}
    if kind in (STRING_SELECT, CHECKBOX_GROUP):
        return payload | {"values": _check_offered(node, label, entries)}
    assert kind in SELECTS
    return payload | {"values": [builder.resolve(entry) for entry in entries]}


def _get_default(node: Json) -> Any:
    if node["type"] == TEXT_INPUT:
        return node.get("value") or ""
    if node["type"] == CHECKBOX:
        return bool(node.get("default"))
    chosen = [option["value"] for option in node.get("options") or () if option.get("default")]
    return (chosen[0] if chosen else None) if node["type"] == RADIO_GROUP else chosen


def _check_text(node: Json, label: str, value: str) -> str:
    minimum, maximum = node.get("min_length") or 0, node.get("max_length") or 4000
    if value and not minimum <= len(value) <= maximum:
        raise ActionNotAvailable(f"{label} takes {minimum} to {maximum} characters, not {len(value)}")
    return value


def _check_offered(node: Json, label: str, values: list[Any]) -> list[Any]:
    offered = [option["value"] for option in node.get("options") or ()]
    if any(value not in offered for value in values):
        raise ActionNotAvailable(f"{label} offers {offered}, not {values}")
    return values


def _check_count(node: Json, label: str, values: list[Any]) -> None:
    maximum = node.get("max_values")
    if len(values) > (1 if maximum is None else maximum):
        raise ActionNotAvailable(f"{label} takes at most {maximum or 1}")
