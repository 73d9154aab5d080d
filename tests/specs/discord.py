"""Discord's own OpenAPI document: what a request to it may hold, and what its replies may say.

    faults = request_faults("POST", "/channels/1/messages", body={"content": "hello"})
    faults = reply_faults("GET", "/users/@me", 200, body=reply.json())

Both give faults, none when all is well. Bodies are parsed JSON; paths come without /api/v10 and without their query.
The document is read into closures once, on the first question: a message is checked in some ten microseconds.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_DOCUMENT = Path(__file__).with_name("discord-openapi.json")
_METHODS = {"get", "put", "post", "patch", "delete"}
_JSON = "application/json"
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

JsonPath = tuple[str | int, ...]
Validator = Callable[[Any, JsonPath], "list[DiscordViolation]"]


@dataclass(frozen=True)
class DiscordViolation:
    """`place` leads to the value, from the top of the body; `code` is the one Discord's error tree would show."""

    path: JsonPath
    code: str
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or 'the body'}: {self.message}"


@dataclass(frozen=True)
class DiscordOperation:
    """One method of one path. `template` is as in the document, names in braces."""

    method: str
    template: str
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.definition["operationId"])


def list_operations() -> tuple[DiscordOperation, ...]:
    """All of the document."""
    return tuple(
        DiscordOperation(method.upper(), template, definition)
        for template, methods in _load_document()["paths"].items()
        for method, definition in methods.items()
        if method in _METHODS
    )


def find_operation(method: str, path: str) -> DiscordOperation | None:
    """A literal step (`@me`, `@original`) goes before a name in braces."""
    for pattern, operation in _compile_patterns()[method.upper()]:
        if pattern.fullmatch(path):
            return operation
    return None


def validate_request(
    method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, content_type: str = _JSON
) -> list[DiscordViolation]:
    """What the document has against this request. `body` is None where none was sent."""
    operation = find_operation(method, path)
    if operation is None:
        return [DiscordViolation((), "NO_OPERATION", f"{method} {path} is no operation")]
    return [*_validate_query(operation, query or {}), *_validate_request_body(operation, body, content_type)]


def validate_response(method: str, path: str, status: int, *, body: Any = None) -> list[DiscordViolation]:
    """What the document has against this reply. `body` is None where none was sent."""
    operation = find_operation(method, path)
    if operation is None:
        return (
            [] if status in (404, 405) else [DiscordViolation((), "NO_OPERATION", f"{method} {path} is no operation")]
        )
    shown = operation.definition["responses"].get(str(status))
    if shown is None and status >= 400:
        shown = operation.definition["responses"]["4XX"]
    if shown is None:
        return [DiscordViolation((), "STATUS", f"status {status} is not one of the document's")]
    content = _resolve_reference(shown).get("content", {}).get(_JSON)
    if content is None or body is None:
        return (
            []
            if (content is None) == (body is None)
            else [DiscordViolation((), "BODY", f"{status} has the wrong kind of body")]
        )
    return _compile_schema(json.dumps(content["schema"]))(body, ())


def _validate_query(operation: DiscordOperation, query: Mapping[str, str]) -> Iterable[DiscordViolation]:
    known = {
        parameter["name"]: parameter["schema"]
        for parameter in operation.definition.get("parameters", ())
        if parameter["in"] == "query"
    }
    for name, text in query.items():
        if name not in known:
            yield DiscordViolation((name,), "QUERY", "unknown query parameter")
        else:
            yield from _compile_schema(json.dumps(known[name]))(_parse_query_value(text), (name,))


def _validate_request_body(operation: DiscordOperation, body: Any, content_type: str) -> list[DiscordViolation]:
    request = operation.definition.get("requestBody")
    if request is None:
        return [] if body is None else [DiscordViolation((), "BODY", "a body where none is taken")]
    if body is None:
        return [DiscordViolation((), "BODY", "no body where one is needed")] if request.get("required") else []
    content = request["content"].get(content_type)
    if content is None:
        return [DiscordViolation((), "CONTENT_TYPE", f"the content type is {content_type or 'missing'}")]
    return _compile_schema(json.dumps(content["schema"]))(body, ())


def _parse_query_value(text: str) -> Any:
    """A value of the query, as the schema of its parameter may want it."""
    return {"true": True, "false": False}.get(text.lower(), text)


# The document, read once.


@cache
def _load_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    for methods in document["paths"].values():
        shared = methods.get("parameters", [])
        for method in _METHODS & methods.keys():
            methods[method]["parameters"] = [*shared, *methods[method].get("parameters", [])]
    return document


@cache
def _compile_patterns() -> dict[str, list[tuple[re.Pattern[str], DiscordOperation]]]:
    found: dict[str, list[tuple[re.Pattern[str], DiscordOperation]]] = {method.upper(): [] for method in _METHODS}
    for operation in sorted(list_operations(), key=lambda operation: operation.template.count("{")):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.template))
        found[operation.method].append((pattern, operation))
    return found


def _resolve_reference(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while reference := schema.get("$ref"):
        found: Any = _load_document()
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


# Schemas as closures.


@cache
def _compile_schema(schema: str) -> Validator:
    return _create_validator(json.loads(schema))


@cache
def _compile_reference(reference: str) -> Validator:
    return _create_validator(_resolve_reference({"$ref": reference}))


def _create_validator(schema: Mapping[str, Any]) -> Validator:
    if reference := schema.get("$ref"):
        return lambda value, place: _compile_reference(reference)(
            value, place
        )  # later, since schemas may hold themselves
    checks = [make(schema) for keywords, make in _KEYWORDS if keywords & schema.keys()]

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        for part in checks:
            if faults := part(value, place):
                return faults
        return []

    return check


def _type_check(schema: Mapping[str, Any]) -> Validator:
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    fits = [_TYPES[name] for name in types]
    if schema.get("format") == "snowflake":
        fits.append(_is_natural)
    wanted = " or ".join(types)

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if any(fit(value) for fit in fits):
            return []
        return [DiscordViolation(place, "BASE_TYPE_BAD_TYPE", f"{_shorten(value)} is no {wanted}")]

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

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if value is None or value in allowed or (isinstance(value, str) and value in texts):
            return []  # null was let in, or refused, by its type
        return [DiscordViolation(place, "BASE_TYPE_CHOICES", f"{_shorten(value)} is not one of {allowed}")]

    return check


def _length_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minLength", 0), schema.get("maxLength"), str, "BASE_TYPE", "characters")


def _item_count_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minItems", 0), schema.get("maxItems"), list, "BASE_TYPE", "entries")


def _property_count_check(schema: Mapping[str, Any]) -> Validator:
    return _size_check(schema.get("minProperties", 0), schema.get("maxProperties"), dict, "BASE_TYPE", "names")


def _size_check(least: int, most: int | None, kind: type, code: str, unit: str) -> Validator:
    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, kind):
            return []
        size = len(value)  # type: ignore[arg-type] # each kind is sized
        if size < least:
            return [DiscordViolation(place, f"{code}_MIN_LENGTH", f"{size} {unit}, at least {least} wanted")]
        if most is not None and size > most:
            return [DiscordViolation(place, f"{code}_MAX_LENGTH", f"{size} {unit}, at most {most} allowed")]
        return []

    return check


def _bounds_check(schema: Mapping[str, Any]) -> Validator:
    least, most = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if value is None or isinstance(value, bool) or not _is_number(value) or least <= float(value) <= most:
            return []
        return [DiscordViolation(place, "NUMBER_TYPE_BOUNDS", f"{value} is not between {least} and {most}")]

    return check


def _pattern_check(schema: Mapping[str, Any]) -> Validator:
    pattern = re.compile(schema["pattern"])

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, str) or pattern.search(value):
            return []
        return [DiscordViolation(place, "STRING_TYPE_REGEX", f"{_shorten(value)} does not match {pattern.pattern}")]

    return check


def _format_check(schema: Mapping[str, Any]) -> Validator:
    fits = _FORMATS.get(schema["format"])

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if fits is None or not isinstance(value, str) or fits(value):
            return []
        return [DiscordViolation(place, "BASE_TYPE_FORMAT", f"{_shorten(value)} is no {schema['format']}")]

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
    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if not schema["uniqueItems"] or not isinstance(value, list):
            return []
        texts = [json.dumps(entry, sort_keys=True) for entry in value]
        return (
            []
            if len(set(texts)) == len(texts)
            else [DiscordViolation(place, "LIST_TYPE_UNIQUE", "an entry appears twice")]
        )

    return check


def _items_check(schema: Mapping[str, Any]) -> Validator:
    item = _create_validator(schema["items"])

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, list):
            return []
        return [fault for number, entry in enumerate(value) for fault in item(entry, (*place, number))]

    return check


def _object_check(schema: Mapping[str, Any]) -> Validator:
    known = {name: _create_validator(definition) for name, definition in schema.get("properties", {}).items()}
    required = schema.get("required", ())
    others = schema.get("additionalProperties", True)
    other = _create_validator(others) if isinstance(others, Mapping) else None

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        if not isinstance(value, dict):
            return []
        faults = [
            DiscordViolation((*place, name), "BASE_TYPE_REQUIRED", "this is required")
            for name in required
            if name not in value
        ]
        for name, entry in value.items():
            if part := known.get(name, other):
                faults += part(entry, (*place, name))
            elif others is False:
                faults.append(DiscordViolation((*place, name), "UNKNOWN_NAME", "this name is unknown"))
        return faults

    return check


def _all_check(schema: Mapping[str, Any]) -> Validator:
    parts = [_create_validator(part) for part in schema["allOf"]]
    return lambda value, place: [fault for part in parts for fault in part(value, place)]


def _any_check(schema: Mapping[str, Any]) -> Validator:
    """Where each way is marked by a `type` of its own (components, options), only the marked way speaks."""
    ways = [_resolve_reference(way) for way in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    checks = [_create_validator(way) for way in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    marks = [_list_type_marks(way) for way in ways]

    def check(value: Any, place: JsonPath) -> list[DiscordViolation]:
        best: list[DiscordViolation] | None = None
        mark = value.get("type") if isinstance(value, dict) else None
        marked = [part for part, own in zip(checks, marks, strict=True) if mark is not None and mark in own]
        for part in marked or checks:
            faults = part(value, place)
            if not faults:
                return []
            if best is None or _rank_violations(faults) > _rank_violations(best):
                best = faults
        return best or []

    return check


def _list_type_marks(way: Mapping[str, Any]) -> tuple[Any, ...]:
    mark = way.get("properties", {}).get("type", {})
    return (*mark.get("enum", ()), *((mark["const"],) if "const" in mark else ()))


def _rank_violations(faults: list[DiscordViolation]) -> tuple[int, bool]:
    """The way that was meant is the one that got furthest into the value, or did not trip over its type."""
    return max(len(fault.path) for fault in faults), all(fault.code != "BASE_TYPE_BAD_TYPE" for fault in faults)


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
