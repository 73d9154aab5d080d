"""Discord's OpenAPI document, and validators compiled from its schemas."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_DOCUMENT = Path(__file__).with_name("discord-openapi.json")
METHODS = {"get", "put", "post", "patch", "delete"}
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

JsonPath = tuple[str | int, ...]
Validator = Callable[[Any, JsonPath], "list[DiscordViolation]"]


@dataclass(frozen=True)
class DiscordViolation:
    """`path` leads from the top of the body to the value; `code` is the code in Discord's error tree."""

    path: JsonPath
    code: str
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or 'the body'}: {self.message}"


@cache
def load_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    for methods in document["paths"].values():
        shared = methods.get("parameters", [])
        for method in METHODS & methods.keys():
            methods[method]["parameters"] = [*shared, *methods[method].get("parameters", [])]
    return document


def resolve_reference(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while reference := schema.get("$ref"):
        found: Any = load_document()
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


@cache
def compile_schema(schema: str) -> Validator:
    return _create_validator(json.loads(schema))


@cache
def _compile_reference(reference: str) -> Validator:
    return _create_validator(resolve_reference({"$ref": reference}))


def _create_validator(schema: Mapping[str, Any]) -> Validator:
    if reference := schema.get("$ref"):
        # Resolve at the first use: schemas may refer to themselves.
        return lambda value, path: _compile_reference(reference)(value, path)
    checks = [make(schema) for keywords, make in _KEYWORDS if keywords & schema.keys()]

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        for part in checks:
            if violations := part(value, path):
                return violations
        return []

    return check


def _type_check(schema: Mapping[str, Any]) -> Validator:
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    matches = [_TYPES[name] for name in types]
    if schema.get("format") == "snowflake":
        matches.append(_is_natural)
    expected = " or ".join(types)

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if any(fit(value) for fit in matches):
            return []
        return [DiscordViolation(path, "BASE_TYPE_BAD_TYPE", f"{_shorten(value)} is no {expected}")]

    return check


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return _INTEGER.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def _is_natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool) or value in ("0", "1", 0, 1),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def _enum_check(schema: Mapping[str, Any]) -> Validator:
    allowed = schema["enum"] if "enum" in schema else [schema["const"]]
    texts = {str(entry) for entry in allowed if isinstance(entry, int)}

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if value is None or value in allowed or (isinstance(value, str) and value in texts):
            return []  # the type check decides about null
        return [DiscordViolation(path, "BASE_TYPE_CHOICES", f"{_shorten(value)} is not one of {allowed}")]

    return check


def _length_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minLength", 0), schema.get("maxLength"), str, "BASE_TYPE", "characters")


def _item_count_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minItems", 0), schema.get("maxItems"), list, "BASE_TYPE", "entries")


def _property_count_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minProperties", 0), schema.get("maxProperties"), dict, "BASE_TYPE", "names")


def _size_check(minimum: int, maximum: int | None, kind: type, code: str, unit: str) -> Validator:
    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, kind):
            return []
        size = len(value)  # type: ignore[arg-type] # each kind is sized
        if size < minimum:
            return [DiscordViolation(path, f"{code}_MIN_LENGTH", f"{size} {unit}, at least {minimum} wanted")]
        if maximum is not None and size > maximum:
            return [DiscordViolation(path, f"{code}_MAX_LENGTH", f"{size} {unit}, at most {maximum} allowed")]
        return []

    return check


def _bounds_check(schema: Mapping[str, Any]) -> Validator:
    minimum, maximum = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if value is None or isinstance(value, bool) or not _is_number(value) or minimum <= float(value) <= maximum:
            return []
        return [DiscordViolation(path, "NUMBER_TYPE_BOUNDS", f"{value} is not between {minimum} and {maximum}")]

    return check


def _pattern_check(schema: Mapping[str, Any]) -> Validator:
    pattern = re.compile(schema["pattern"])

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, str) or pattern.search(value):
            return []
        return [DiscordViolation(path, "STRING_TYPE_REGEX", f"{_shorten(value)} does not match {pattern.pattern}")]

    return check


def _format_check(schema: Mapping[str, Any]) -> Validator:
    matches = _FORMATS.get(schema["format"])

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if matches is None or not isinstance(value, str) or matches(value):
            return []
        return [DiscordViolation(path, "BASE_TYPE_FORMAT", f"{_shorten(value)} is no {schema['format']}")]

    return check


def _is_date_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "uri": lambda text: bool(urlsplit(text).scheme),
}


def _unique_check(schema: Mapping[str, Any]) -> Validator:
    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if not schema["uniqueItems"] or not isinstance(value, list):
            return []
        texts = [json.dumps(entry, sort_keys=True) for entry in value]
        return (
            []
            if len(set(texts)) == len(texts)
            else [DiscordViolation(path, "LIST_TYPE_UNIQUE", "an entry appears twice")]
        )

    return check


def _items_check(schema: Mapping[str, Any]) -> Validator:
    item = _create_validator(schema["items"])

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, list):
            return []
        return [violation for number, entry in enumerate(value) for violation in item(entry, (*path, number))]

    return check


def _object_check(schema: Mapping[str, Any]) -> Validator:
    known = {name: _create_validator(definition) for name, definition in schema.get("properties", {}).items()}
    required = schema.get("required", ())
    others = schema.get("additionalProperties", True)
    other = _create_validator(others) if isinstance(others, Mapping) else None

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, dict):
            return []
        violations = [
            DiscordViolation((*path, name), "BASE_TYPE_REQUIRED", "this is required")
            for name in required
            if name not in value
        ]
        for name, entry in value.items():
            if part := known.get(name, other):
                violations += part(entry, (*path, name))
            elif others is False:
                violations.append(DiscordViolation((*path, name), "UNKNOWN_NAME", "this name is unknown"))
        return violations

    return check


def _all_check(schema: Mapping[str, Any]) -> Validator:
    parts = [_create_validator(part) for part in schema["allOf"]]
    return lambda value, path: [violation for part in parts for violation in part(value, path)]


def _any_check(schema: Mapping[str, Any]) -> Validator:
    """Return a check for anyOf and oneOf. If schemas are marked by their own `type` (components, options), only the
    marked schema reports violations.
    """
    ways = [resolve_reference(way) for way in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    checks = [_create_validator(way) for way in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    type_marks = [_list_type_marks(way) for way in ways]

    def check(value: Any, path: JsonPath) -> list[DiscordViolation]:
        best_violations: list[DiscordViolation] | None = None
        mark = value.get("type") if isinstance(value, dict) else None
        marked = [part for part, own in zip(checks, type_marks, strict=True) if mark is not None and mark in own]
        for part in marked or checks:
            violations = part(value, path)
            if not violations:
                return []
            if best_violations is None or _rank_violations(violations) > _rank_violations(best_violations):
                best_violations = violations
        return best_violations or []

    return check


def _list_type_marks(way: Mapping[str, Any]) -> tuple[Any, ...]:
    mark = way.get("properties", {}).get("type", {})
    return (*mark.get("enum", ()), *((mark["const"],) if "const" in mark else ()))


def _rank_violations(violations: list[DiscordViolation]) -> tuple[int, bool]:
    """Rank a failed alternative: the intended schema got furthest into the value, or accepted the value's type."""
    return max(len(violation.path) for violation in violations), all(
        violation.code != "BASE_TYPE_BAD_TYPE" for violation in violations
    )


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


_KEYWORDS: tuple[tuple[set[str], Callable[[Mapping[str, Any]], Validator]], ...] = (
    ({"type"}, _type_check),
    ({"enum", "const"}, _enum_check),
    ({"minLength", "maxLength"}, _length_check),
    ({"minimum", "maximum"}, _bounds_check),
    ({"pattern"}, _pattern_check),
    ({"format"}, _format_check),
    ({"minItems", "maxItems"}, _item_count_check),
    ({"minProperties", "maxProperties"}, _property_count_check),
    ({"uniqueItems"}, _unique_check),
    ({"items"}, _items_check),
    ({"properties", "required", "additionalProperties"}, _object_check),
    ({"allOf"}, _all_check),
    ({"anyOf", "oneOf"}, _any_check),
)
