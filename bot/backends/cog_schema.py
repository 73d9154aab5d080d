"""Reads a model's published OpenAPI schema into fields. Versions of Cog have written schemas in several ways:

an enum is a reference inside `allOf`, or stands in the field; an optional value is `nullable`, a union with the type
null, or a list of types; and before Cog 0.3.9 a list that is a growing text has no mark.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bot.core.json import JSON, as_object
from bot.core.models import FieldKind, OutputKind, SchemaField

_MAX_REFERENCE_DEPTH = 8
"""Circular references end at this depth."""

_FIRST_VERSION_WITH_ITERATOR_MARK = (0, 3, 9)

_KINDS = {
    "string": FieldKind.TEXT,
    "integer": FieldKind.INTEGER,
    "number": FieldKind.NUMBER,
    "boolean": FieldKind.BOOLEAN,
}

_SchemaNode = Mapping[str, JSON]

# Authors rarely mark their secrets. `max_tokens` and `stop_tokens` are none.
_SECRET_NAME = re.compile(r"(?:^|_)(?:api_?key|secret(?:_key)?|token|password|passwd|access_key)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CogSchema:
    """A version's `openapi_schema` with its `cog_version`, such as "0.16.12"."""

    document: _SchemaNode
    cog_version: str = ""

    def read_fields(self, name: str = "Input") -> tuple[SchemaField, ...] | None:
        """Return the fields of `Input` or `TrainingInput` in their order, None without such a schema."""
        form = self._schemas.get(name)
        if not isinstance(form, dict):
            return None
        properties, required = form.get("properties"), form.get("required")
        names = frozenset(required) if isinstance(required, list) else frozenset()
        nodes = properties.items() if isinstance(properties, dict) else ()
        found = [
            (self._read_order(node), self._read_field(field, node, is_required=field in names)) for field, node in nodes
        ]
        return tuple(field for _, field in sorted(found, key=lambda pair: pair[0]))

    def read_output_kind(self) -> OutputKind | None:
        """Return the kind of the model's output, None for a kind that the bot cannot show."""
        node = next(self._iterate_branches(self._schemas.get("Output")), None)
        if node is None:
            return None
        if node.get("type") == "array":
            return self._read_list_kind(node)
        if node.get("type") == "string":
            return OutputKind.PICTURES if _is_file(node) else OutputKind.TEXT
        return OutputKind.TEXT if node.get("type") == "object" else None

    def _read_list_kind(self, node: _SchemaNode) -> OutputKind | None:
        item = next(self._iterate_branches(node.get("items")), {})
        if _is_file(item):
            return OutputKind.PICTURES
        if item.get("type", "string") != "string":
            return None
        is_growing = node.get("x-cog-array-type") == "iterator" or self._predates_iterator_mark
        return OutputKind.TEXT_STREAM if is_growing else OutputKind.TEXT

    @property
    def _schemas(self) -> _SchemaNode:
        return as_object(as_object(self.document.get("components")).get("schemas"))

    @property
    def _predates_iterator_mark(self) -> bool:
        numbers = tuple(int(part) for part in re.findall(r"\d+", self.cog_version)[:3])
        return bool(numbers) and numbers < _FIRST_VERSION_WITH_ITERATOR_MARK

    def _read_order(self, node: JSON) -> float:
        order = as_object(node).get("x-order")
        return float(order) if isinstance(order, int | float) else float("inf")

    def _read_field(self, name: str, node: JSON, *, is_required: bool) -> SchemaField:
        schema = as_object(node)
        branches = list(self._iterate_branches(node))
        fields = [_read_plain_field(name, branch) for branch in branches] or [
            SchemaField(name, frozenset((FieldKind.OTHER,)))
        ]
        description = schema.get("description")
        return replace(
            _merge_union_fields(fields),
            is_required=is_required,
            is_nullable=schema.get("nullable") is True or self._may_be_null(node),
            default=schema.get("default"),
            description=description if isinstance(description, str) else "",
            is_secret=_is_secret(name, [schema, *branches]),
        )

    def _iterate_branches(self, node: JSON, depth: int = 0) -> Iterator[_SchemaNode]:
        """Yield the plain schemas of a node: the node, or the members of its union, with references followed."""
        schema = self._resolve(node, depth)
        union = schema.get("anyOf") or schema.get("oneOf")
        types = schema.get("type")
        if isinstance(union, list) and depth < _MAX_REFERENCE_DEPTH:
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
            for branch in union:
                for plain in self._iterate_branches(branch, depth + 1):
                    yield {**rest, **plain}
        elif isinstance(types, list):
            yield from ({**schema, "type": kind} for kind in types if kind != "null")
        elif schema and types != "null":
            yield schema

    def _may_be_null(self, node: JSON) -> bool:
        schema = self._resolve(node, 0)
        union, types = schema.get("anyOf") or schema.get("oneOf"), schema.get("type")
        in_union = isinstance(union, list) and any(as_object(branch).get("type") == "null" for branch in union)
        return in_union or (isinstance(types, list) and "null" in types)

    def _resolve(self, node: JSON | _SchemaNode, depth: int) -> _SchemaNode:
        """Return a node merged with its references (`$ref`, `allOf`). The node's own keys win."""
        schema = as_object(node)
        parts = [
            *_as_list(schema.get("allOf")),
            *([as_object(self._follow_reference(schema))] if "$ref" in schema else []),
        ]
        if not parts or depth >= _MAX_REFERENCE_DEPTH:
            return schema
        merged: dict[str, JSON] = {}
        for part in parts:
            merged |= self._resolve(part, depth + 1)
        return merged | {key: value for key, value in schema.items() if key not in ("allOf", "$ref")}

    def _follow_reference(self, node: _SchemaNode) -> JSON:
        target: JSON = dict(self.document)
        for step in str(node.get("$ref", "")).removeprefix("#/").split("/"):
            target = as_object(target).get(step.replace("~1", "/").replace("~0", "~"))
        return target


def _read_plain_field(name: str, node: _SchemaNode) -> SchemaField:
    """Return a field from a schema without references or unions."""
    choices = _as_list(node.get("enum")) or ([node["const"]] if "const" in node else [])
    length = node.get("maxLength")
    return SchemaField(
        name,
        frozenset((_read_kind(node, choices),)),
        minimum=_as_number(node.get("minimum")),
        maximum=_as_number(node.get("maximum")),
        max_length=length if isinstance(length, int) else None,
        choices=tuple(choice for choice in choices if choice is not None),
    )


def _merge_union_fields(fields: list[SchemaField]) -> SchemaField:
    """Return the field of a union, which takes every value that a member takes."""
    lows, highs = [field.minimum for field in fields], [field.maximum for field in fields]
    lengths = [field.max_length for field in fields]
    has_choices = all(field.choices for field in fields)
    return replace(
        fields[0],
        kinds=frozenset().union(*(field.kinds for field in fields)),
        minimum=None if None in lows else min(low for low in lows if low is not None),
        maximum=None if None in highs else max(high for high in highs if high is not None),
        max_length=None if None in lengths else max(length for length in lengths if length is not None),
        choices=tuple(dict.fromkeys(choice for field in fields for choice in field.choices)) if has_choices else (),
    )


def _read_kind(node: _SchemaNode, choices: list[JSON]) -> FieldKind:
    if _is_file(node):
        return FieldKind.FILE
    if node.get("type") == "array":
        return _read_list_kind(as_object(node.get("items")))
    kind = node.get("type")
    if kind is None and choices:  # an enum of old schemas, without a type
        kind = "string" if isinstance(choices[0], str) else "integer" if isinstance(choices[0], int) else "number"
    return _KINDS.get(str(kind), FieldKind.OTHER)


def _read_list_kind(item: _SchemaNode) -> FieldKind:
    if _is_file(item):
        return FieldKind.FILES
    kinds = {"string": FieldKind.TEXTS, "integer": FieldKind.NUMBERS, "number": FieldKind.NUMBERS}
    return kinds.get(str(item.get("type")), FieldKind.OTHER)


def _is_secret(name: str, nodes: list[_SchemaNode]) -> bool:
    """Return whether a field is marked as a secret (`x-cog-secret`, format `password`), or named as secrets are."""
    is_marked = any(node.get("format") == "password" or node.get("x-cog-secret") is True for node in nodes)
    return is_marked or _SECRET_NAME.search(name) is not None


def _is_file(node: _SchemaNode) -> bool:
    return node.get("type") == "string" and node.get("format") == "uri"


def _as_number(value: JSON) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
