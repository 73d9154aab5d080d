"""JSON as a type, and its canonical form: what makes two inputs equal."""

import hashlib
import json
from collections.abc import Mapping
from typing import TypeAlias

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None


def canonicalize(value: JSON | Mapping[str, JSON]) -> str:
    """The one spelling of a value: keys sorted, no spaces, a whole float written as an integer."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(model: str, inputs: Mapping[str, JSON]) -> str:
    """SHA-256 (hex) of a model and its canonical inputs: predictions that share it are interchangeable."""
    return hashlib.sha256(f"{model}\n{canonicalize(inputs)}".encode()).hexdigest()


def _plain(value: JSON | Mapping[str, JSON]) -> JSON:
    # A backend may answer 1.0 where we sent 1 (facts: schemas state bounds as floats).
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
