"""Validates calls of Slack's Web API against Slack's description of the methods.

    violations = validate_call("chat.update", {"channel": "C1", "text": "hello"})

Returns sentences, empty for a valid call. Arguments are raw: forms have only texts, JSON has types.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.specs import slack_corrections as corrections

_DOCUMENT = Path(__file__).with_name("slack-methods.json")
_STRUCTURES: dict[str, type] = {
    "attachments": list,
    "blocks": list,
    "chunks": list,
    "files": list,
    "loading_messages": list,
    "metadata": dict,
    "prompts": list,
    "view": dict,
}
"""Arguments in JSON, in a form as text."""
_LISTS = {"file_ids"}
"""Arguments with a list, or with entries separated by commas."""
_BOOLEANS = {"true": True, "1": True, "True": True, "false": False, "0": False, "False": False, "": False}


@dataclass(frozen=True)
class SlackMethod:
    """`scopes` are alternatives: any of them suffices; `tier` 0 means "special"."""

    name: str
    arguments: Mapping[str, Mapping[str, Any]]
    errors: frozenset[str]
    scopes: frozenset[str]
    tier: int

    @property
    def required(self) -> list[str]:
        return [name for name, argument in self.arguments.items() if argument.get("required")]


def list_methods() -> tuple[SlackMethod, ...]:
    """Return all known methods, with corrections applied."""
    return tuple(_load_methods().values())


def find_method(name: str) -> SlackMethod | None:
    return _load_methods().get(name)


def validate_call(name: str, args: Mapping[str, Any]) -> list[str]:
    """Return all violations of a call, also of rules that Slack does not enforce, such as unknown arguments."""
    method = find_method(name)
    if method is None:
        return [f"{name} is no method"]
    unknown = [f"{name}: unknown argument {argument}" for argument in args if argument not in method.arguments]
    return unknown + [f"{name}: {violation}" for violation in validate_arguments(name, args)]


def validate_arguments(name: str, args: Mapping[str, Any]) -> list[str]:
    """Return the violations that Slack answers with `invalid_arguments`."""
    method = _load_methods()[name]
    missing = [f"missing required field: {argument}" for argument in method.required if args.get(argument) is None]
    known = {argument: value for argument, value in args.items() if argument in method.arguments}
    return missing + list(_validate_type(method, known))


def parse_arguments(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return parsed arguments: JSON, numbers and booleans instead of a form's texts, without nulls."""
    method = _load_methods()[name]
    types = {argument: method.arguments.get(argument, {}).get("type") for argument in args}
    return {
        argument: _parse_value(argument, types[argument], value)
        for argument, value in args.items()
        if value is not None
    }


def _validate_type(method: SlackMethod, args: Mapping[str, Any]) -> Iterator[str]:
    for name, value in args.items():
        if value is None:
            continue
        kind = method.arguments[name].get("type")
        try:
            meant = _parse_value(name, kind, value)
        except ValueError:
            yield f"{name} cannot be read: {str(value)[:60]}"
            continue
        wanted = _STRUCTURES.get(name) or (list if name in _LISTS else _get_expected_type(kind))
        if wanted and not (isinstance(meant, wanted) and (wanted is bool or not isinstance(meant, bool))):
            yield f"{name} must be {_describe_type(wanted)}, is {type(value).__name__}"


def _parse_value(name: str, kind: str | None, value: Any) -> Any:
    """Return a parsed value. Raise ValueError if malformed."""
    if not isinstance(value, str):
        return value
    if name in _STRUCTURES:
        return json.loads(value) if value else _STRUCTURES[name]()
    if name in _LISTS:
        return json.loads(value) if value.startswith("[") else [entry for entry in value.split(",") if entry]
    if kind == "boolean":
        if value not in _BOOLEANS:
            raise ValueError(value)
        return _BOOLEANS[value]
    return int(value) if kind in ("integer", "number") else value


def _get_expected_type(kind: str | None) -> tuple[type, ...] | type | None:
    return {"string": str, "boolean": bool, "integer": int, "number": (int, float)}.get(kind or "")  # type: ignore[return-value] # a table of types


def _describe_type(wanted: tuple[type, ...] | type) -> str:
    return " or ".join(kind.__name__ for kind in (wanted if isinstance(wanted, tuple) else (wanted,)))


@cache
def _load_methods() -> dict[str, SlackMethod]:
    document = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    everywhere = set(document["common_errors"]) | corrections.COMMON_ERRORS
    all_methods = {**document["methods"], **corrections.EXTRA_METHODS}
    return {name: _build_method(name, entry, everywhere) for name, entry in all_methods.items()}


def _build_method(name: str, entry: Mapping[str, Any], everywhere: set[str]) -> SlackMethod:
    optional = corrections.OPTIONAL_ARGUMENTS.get(name, set())
    arguments = {
        argument: {**definition, "required": definition.get("required", False) and argument not in optional}
        for argument, definition in entry["args"].items()
    }
    arguments = {**corrections.COMMON_ARGUMENTS, **arguments, **corrections.EXTRA_ARGUMENTS.get(name, {})}
    errors = frozenset(entry["errors"]) | everywhere | corrections.EXTRA_ERRORS.get(name, set())
    return SlackMethod(name, arguments, errors, frozenset(entry["scopes"]), entry["tier"])
