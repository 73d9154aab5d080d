"""The JSON type, readers of single fields, and a canonical form that is equal for equal inputs."""

import hashlib
import json
from collections.abc import Mapping
from typing import TypeAlias

_MAX_SAFE_INTEGER = 2**53 - 1

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None


def canonicalize(value: JSON | Mapping[str, JSON]) -> str:
    """Return JSON text with sorted keys, no spaces, and whole floats written as integers."""
    return json.dumps(_normalize_numbers(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(model: str, inputs: Mapping[str, JSON]) -> str:
    """Return the SHA-256 (hex) of a model and canonical inputs: predictions with equal hashes are interchangeable."""
    return hashlib.sha256(f"{model}\n{canonicalize(inputs)}".encode()).hexdigest()


def _normalize_numbers(value: JSON | Mapping[str, JSON]) -> JSON:
    # A backend may return 1.0 where we sent 1: Replicate's schemas state the bounds of integers as floats.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _normalize_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize_numbers(item) for item in value]
    return value


def spell_large_integers(value: JSON | Mapping[str, JSON]) -> JSON:
    """Return JSON for JavaScript, which rounds integers beyond 2**53: such integers become text."""
    if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
        return str(value)
    if isinstance(value, Mapping):
        return {key: spell_large_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spell_large_integers(item) for item in value]
    return value


def as_object(value: object) -> dict[str, JSON]:
    """Return a value that is an object, and an empty object for anything else."""
    return value if isinstance(value, dict) else {}


def get_object(body: JSON, key: str) -> dict[str, JSON]:
    """Return the object under a key of an object, empty without one."""
    return as_object(as_object(body).get(key))


def get_objects(body: JSON, key: str) -> list[dict[str, JSON]]:
    """Return the objects of the list under a key of an object. Items of other types are left out."""
    items = as_object(body).get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def get_text(body: JSON, key: str) -> str:
    """Return the text under a key of an object, empty without one."""
    value = as_object(body).get(key)
    return value if isinstance(value, str) else ""


def is_same_value(value: object, other: object) -> bool:
    """Return whether two values are equal in JSON: there 1 differs from true, other than in Python."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)
