"""Filling in a modal: values by label or by custom id, defaults for the rest, and the client's own refusals."""

from collections.abc import Mapping
from typing import Any

from tests.emulators.discord.filling import ActionNotAvailable, InteractionDataBuilder
from tests.emulators.discord.interactions import DiscordModalState
from tests.emulators.discord.messages import SELECTS, STRING_SELECT
from tests.emulators.discord.world import Json

ROW, TEXT_INPUT, TEXT_DISPLAY, LABEL = 1, 4, 10, 18
FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 19, 21, 22, 23


def list_fields(modal: DiscordModalState) -> dict[str, Json]:
    """The inputs by their label."""
    found = {}
    for row in modal.components:
        if row["type"] == LABEL:
            found[str(row["label"])] = row["component"]
        elif row["type"] == ROW:
            for child in row["components"]:
                found[str(child["label"])] = child
    return found


def list_defaults(modal: DiscordModalState) -> dict[str, Any]:
    """What the form is filled with when it opens, by label."""
    return {label: _get_default(node) for label, node in list_fields(modal).items()}


def build_submission(modal: DiscordModalState, values: Mapping[str, Any], builder: InteractionDataBuilder) -> Json:
    """The data of the submit. Raises NotOffered."""
    known = list_fields(modal)
    by_name = {**{node["custom_id"]: node for node in known.values()}, **known}
    if unknown := set(values) - by_name.keys():
        raise ActionNotAvailable(f"the form has no field {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    given = {by_name[name]["custom_id"]: value for name, value in values.items()}
    rows = [_build_row(row, given, builder) for row in modal.components]
    data: Json = {"custom_id": modal.custom_id, "components": rows}
    return data | ({"resolved": builder.resolved} if builder.resolved else {})


def _build_row(row: Json, given: Mapping[str, Any], filling: InteractionDataBuilder) -> Json:
    told: Json = {"type": row["type"], "id": row.get("id") or 1}
    if row["type"] == LABEL:
        return told | {"component": _build_field(row["component"], str(row["label"]), given, filling)}
    if row["type"] == ROW:
        return told | {
            "components": [_build_field(node, str(node["label"]), given, filling) for node in row["components"]]
        }
    return told


def _build_field(node: Json, label: str, given: Mapping[str, Any], filling: InteractionDataBuilder) -> Json:
    kind = node["type"]
    value = given[node["custom_id"]] if node["custom_id"] in given else _get_default(node)
    is_empty = value in (None, "", [])
    if is_empty and node.get("required") is not False and kind != CHECKBOX:
        raise ActionNotAvailable(f"{label} is required")
    told: Json = {"type": kind, "custom_id": node["custom_id"], "id": node.get("id") or 1}
    if kind == TEXT_INPUT:
        return told | {"value": _check_text(node, label, value or "")}
    if kind == CHECKBOX:
        return told | {"value": bool(value)}
    if kind == RADIO_GROUP:
        return told | {"value": None if is_empty else _check_offered(node, label, [value])[0]}
    entries = value if isinstance(value, list) else [] if is_empty else [value]
    _check_count(node, label, entries)
    if kind == FILE_UPLOAD:
        return told | {"values": [filling.upload_file(entry) for entry in entries]}
    if kind in (STRING_SELECT, CHECKBOX_GROUP):
        return told | {"values": _check_offered(node, label, entries)}
    assert kind in SELECTS
    return told | {"values": [filling.resolve(entry) for entry in entries]}


def _get_default(node: Json) -> Any:
    if node["type"] == TEXT_INPUT:
        return node.get("value") or ""
    if node["type"] == CHECKBOX:
        return bool(node.get("default"))
    chosen = [option["value"] for option in node.get("options") or () if option.get("default")]
    return (chosen[0] if chosen else None) if node["type"] == RADIO_GROUP else chosen


def _check_text(node: Json, label: str, value: str) -> str:
    least, most = node.get("min_length") or 0, node.get("max_length") or 4000
    if value and not least <= len(value) <= most:
        raise ActionNotAvailable(f"{label} takes {least} to {most} characters, not {len(value)}")
    return value


def _check_offered(node: Json, label: str, values: list[Any]) -> list[Any]:
    offered = [option["value"] for option in node.get("options") or ()]
    if any(value not in offered for value in values):
        raise ActionNotAvailable(f"{label} offers {offered}, not {values}")
    return values


def _check_count(node: Json, label: str, values: list[Any]) -> None:
    most = node.get("max_values")
    if len(values) > (1 if most is None else most):
        raise ActionNotAvailable(f"{label} takes at most {most or 1}")
