"""Inputs of a model: the property in the model's OpenAPI schema, and the check of a value.

The messages follow the validator of Replicate: recorded messages, and further messages in the same style.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.sandbox.problems import InvalidField

FieldType = Literal["string", "integer", "number", "boolean", "file"]
_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True)
class InputField:
    """An input. A `file` is a string with `format: uri`."""

    name: str
    type: FieldType
    description: str = ""
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    def build_schema(self, order: int) -> dict[str, Any]:
        """Return the property in components.schemas.Input; an enum refers to a schema with the field's name."""
        if self.choices:
            schema: dict[str, Any] = {"allOf": [{"$ref": f"#/components/schemas/{self.name}"}]}
        else:
            schema = {"type": "string" if self.type == "file" else self.type, "title": self._build_title()}
        known = {
            "format": "uri" if self.type == "file" else None,
            "minimum": None if self.minimum is None else float(self.minimum),
            "maximum": None if self.maximum is None else float(self.maximum),
            "default": self.default,
            "description": self.description,
            "x-order": order,
        }
        return schema | {key: value for key, value in known.items() if value is not None}

    def build_enum_schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices), "type": "string", "title": self.name, "description": "An enumeration."}

    def find_error(self, value: Any, where: str = "input") -> InvalidField | None:
        """Return the error of `value`, or None. `where` is the enclosing object: "" for the body."""
        error = self._check_type(value) or self._check_value(value)
        return InvalidField(error[0], f"{where}.{self.name}".lstrip("."), error[1]) if error else None

    def _check_type(self, value: Any) -> tuple[str, str] | None:
        expected = "string" if self.type == "file" else self.type
        given = _JSON_TYPES.get(type(value), "null")
        if expected == given or (expected == "number" and given == "integer"):
            return None
        if expected == "integer" and isinstance(value, float) and value.is_integer():
            return None
        return "invalid_type", f"Invalid type. Expected: {expected}, given: {given}"

    def _check_value(self, value: Any) -> tuple[str, str] | None:
        if self.choices and value not in self.choices:
            allowed = ", ".join(f'"{choice}"' for choice in self.choices)
            return "enum", f"{self.name} must be one of the following: {allowed}"
        if self.minimum is not None and value < self.minimum:
            return "number_gte", f"Must be greater than or equal to {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return "number_lte", f"Must be less than or equal to {self.maximum:g}"
        if self.type == "file" and not urlsplit(value[:200]).scheme:
            return "format", "Does not match format 'uri'"
        return None

    def _build_title(self) -> str:
        return self.name.replace("_", " ").title()


def check_input(fields: Sequence[InputField], given: Mapping[str, Any], where: str = "input") -> list[InvalidField]:
    """Return all errors of an object, in the order of the fields."""
    faults = [field.find_error(given[field.name], where) for field in fields if field.name in given]
    missing = [field.name for field in fields if field.required and field.name not in given]
    return [InvalidField("required", where, f"{name} is required") for name in missing] + [
        fault for fault in faults if fault
    ]


def drop_unknown(fields: Sequence[InputField], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input without unknown keys: Replicate drops unknown keys silently."""
    names = {field.name for field in fields}
    return {name: value for name, value in given.items() if name in names}
