"""A model's published schema, read into fields. Cog has written it in several ways over the years (facts §5).

An enum is a reference inside `allOf`; newer ones stand in the field. "Or nothing" is `nullable`, a type of its own in a
union, or a list of types. Models built before Cog 0.3.9 do not say that their list is a growing text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bot.core.json import JSON
from bot.core.model_schema import FieldKind, SchemaField
from bot.core.models import OutputKind

_MAX_REFERENCE_DEPTH = 8
"""References that lead in a circle end here."""

_FIRST_VERSION_WITH_ITERATOR_MARK = (0, 3, 9)

_KINDS = {
    "string": FieldKind.TEXT,
    "integer": FieldKind.INTEGER,
    "number": FieldKind.NUMBER,
    "boolean": FieldKind.BOOLEAN,
}

_SchemaNode = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class CogSchema:
    """`document` is a version's `openapi_schema`; `cog_version` as told beside it, like "0.16.12"."""

    document: _SchemaNode
    cog_version: str = ""

    def read_fields(self, name: str = "Input") -> tuple[SchemaField, ...] | None:
        """The fields of `Input`, or of `TrainingInput`, in their order; None when there is no such schema."""
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
        """What the model gives; None when it is nothing the bot can show."""
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
        return _object(_object(self.document.get("components")).get("schemas"))

    @property
    def _predates_iterator_mark(self) -> bool:
        numbers = tuple(int(part) for part in re.findall(r"\d+", self.cog_version)[:3])
        return bool(numbers) and numbers < _FIRST_VERSION_WITH_ITERATOR_MARK

    def _read_order(self, node: JSON) -> float:
        order = _object(node).get("x-order")
        return float(order) if isinstance(order, int | float) else float("inf")

    def _read_field(self, name: str, node: JSON, *, is_required: bool) -> SchemaField:
        told = _object(node)
        branches = list(self._iterate_branches(node))
        fields = [_read_plain_field(name, branch) for branch in branches] or [
            SchemaField(name, frozenset((FieldKind.OTHER,)))
        ]
        description = told.get("description")
        return replace(
            _merge_union_fields(fields),
            is_required=is_required,
            is_nullable=told.get("nullable") is True or self._may_be_null(node),
            default=told.get("default"),
            description=description if isinstance(description, str) else "",
        )

    def _iterate_branches(self, node: JSON, depth: int = 0) -> Iterator[_SchemaNode]:
        """The plain schemas that a node stands for: itself, or those of its union, references followed."""
        told = self._resolve(node, depth)
        union = told.get("anyOf") or told.get("oneOf")
        types = told.get("type")
        if isinstance(union, list) and depth < _MAX_REFERENCE_DEPTH:
            rest = {key: value for key, value in told.items() if key not in ("anyOf", "oneOf")}
            for branch in union:
                for plain in self._iterate_branches(branch, depth + 1):
                    yield {**rest, **plain}
        elif isinstance(types, list):
            yield from ({**told, "type": one} for one in types if one != "null")
        elif told and types != "null":
            yield told

    def _may_be_null(self, node: JSON) -> bool:
        told = self._resolve(node, 0)
        union, types = told.get("anyOf") or told.get("oneOf"), told.get("type")
        in_union = isinstance(union, list) and any(_object(branch).get("type") == "null" for branch in union)
        return in_union or (isinstance(types, list) and "null" in types)

    def _resolve(self, node: JSON | _SchemaNode, depth: int) -> _SchemaNode:
        """The node with what it refers to, by `$ref` or inside `allOf`; its own words come before those."""
        told = _object(node)
        parts = [*_list(told.get("allOf")), *([_object(self._follow_reference(told))] if "$ref" in told else [])]
        if not parts or depth >= _MAX_REFERENCE_DEPTH:
            return told
        merged: dict[str, JSON] = {}
        for part in parts:
            merged |= self._resolve(part, depth + 1)
        return merged | {key: value for key, value in told.items() if key not in ("allOf", "$ref")}

    def _follow_reference(self, node: _SchemaNode) -> JSON:
        target: JSON = dict(self.document)
        for step in str(node.get("$ref", "")).removeprefix("#/").split("/"):
            target = _object(target).get(step.replace("~1", "/").replace("~0", "~"))
        return target


def _read_plain_field(name: str, node: _SchemaNode) -> SchemaField:
    """A field from a schema without references or unions."""
    choices = _list(node.get("enum")) or ([node["const"]] if "const" in node else [])
    length = node.get("maxLength")
    return SchemaField(
        name,
        frozenset((_read_kind(node, choices),)),
        minimum=_number(node.get("minimum")),
        maximum=_number(node.get("maximum")),
        max_length=length if isinstance(length, int) else None,
        choices=tuple(choice for choice in choices if choice is not None),
    )


def _merge_union_fields(fields: list[SchemaField]) -> SchemaField:
    """A union takes what any of its parts takes."""
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
        return FieldKind.FILES if _is_file(_object(node.get("items"))) else FieldKind.OTHER
    kind = node.get("type")
    if kind is None and choices:  # an enum of old schemas, without a type
        kind = "string" if isinstance(choices[0], str) else "integer" if isinstance(choices[0], int) else "number"
    return _KINDS.get(str(kind), FieldKind.OTHER)


def _is_file(node: _SchemaNode) -> bool:
    return node.get("type") == "string" and node.get("format") == "uri"


def _number(value: JSON) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(value: JSON | _SchemaNode) -> _SchemaNode:
    return value if isinstance(value, dict) else {}


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
