"""The JSON type, and a canonical form that is equal for equal inputs."""

import hashlib
import json
from collections.abc import Mapping
from typing import TypeAlias

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
