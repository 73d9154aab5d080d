"""Published schemas of several versions of Cog."""

from typing import Any

import pytest

from bot.backends.cog_schema import CogSchema
from bot.core.models import FieldKind, OutputKind, SchemaField

URI = {"type": "string", "format": "uri"}


def document(output: Any = None, required: list[str] | None = None, /, schemas: Any = None, **fields: Any) -> Any:
    form = {"type": "object", "properties": fields, **({"required": required} if required else {})}
    return {"components": {"schemas": {"Input": form, **({"Output": output} if output else {}), **(schemas or {})}}}


def field(schema: Any, schemas: Any = None) -> SchemaField:
    fields = CogSchema(document(schemas=schemas, thing=schema)).read_fields()
    assert fields is not None
    return fields[0]


def test_fields_come_in_the_order_the_model_shows_them() -> None:
    schema = document(
        None, ["prompt"], seed={"type": "integer", "x-order": 2}, last={"type": "string"}, prompt={"x-order": 0}
    )

    fields = CogSchema(schema).read_fields() or ()

    assert [(each.name, each.is_required) for each in fields] == [("prompt", True), ("seed", False), ("last", False)]


def test_bounds_defaults_and_words() -> None:
    found = field({"type": "integer", "minimum": 1.0, "maximum": 4.0, "default": 4, "description": "Steps"})

    assert found == SchemaField(
        "thing", frozenset({FieldKind.INTEGER}), default=4, minimum=1, maximum=4, description="Steps"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/components/schemas/thing"}], "default": "b"},
        {"$ref": "#/components/schemas/thing", "default": "b"},
        {"type": "string", "enum": ["a", "b"], "default": "b"},
        {"enum": ["a", "b"], "default": "b"},
        {"anyOf": [{"$ref": "#/components/schemas/thing"}, {"type": "null"}], "default": "b"},
    ],
)
def test_an_enum_is_found_wherever_it_stands(schema: Any) -> None:
    found = field(schema, {"thing": {"type": "string", "enum": ["a", "b"], "title": "thing"}})

    assert (set(found.kinds), found.choices, found.default) == ({FieldKind.TEXT}, ("a", "b"), "b")


def test_an_enum_of_numbers_keeps_numbers() -> None:
    found = field({"allOf": [{"$ref": "#/components/schemas/size"}]}, {"size": {"enum": [2, 4], "type": "integer"}})

    assert (set(found.kinds), found.choices) == ({FieldKind.INTEGER}, (2, 4))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 2, "nullable": True},
        {"type": ["integer", "null"], "minimum": 2},
        {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]},
        {"oneOf": [{"type": "integer"}, {"type": "null"}], "minimum": 2},
    ],
)
def test_optional_fields_in_four_spellings(schema: Any) -> None:
    found = field(schema)

    assert (set(found.kinds), found.is_nullable, found.minimum) == ({FieldKind.INTEGER}, True, 2)


def test_a_union_takes_the_values_of_all_members() -> None:
    found = field({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "string", "enum": ["auto"]}]})

    assert found.kinds == {FieldKind.INTEGER, FieldKind.TEXT}
    assert (found.minimum, found.maximum, found.choices) == (None, None, ())
    assert field({"anyOf": [{"const": 1}, {"const": 2}]}).choices == (1, 2)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (URI, FieldKind.FILE),
        ({"type": "array", "items": URI}, FieldKind.FILES),
        ({"type": "array", "items": {"type": "string"}}, FieldKind.TEXTS),
        ({"type": "array", "items": {"type": "integer"}}, FieldKind.NUMBERS),
        ({"type": "array", "items": {"type": "object"}}, FieldKind.OTHER),
        ({"type": "boolean"}, FieldKind.BOOLEAN),
        ({"type": "object"}, FieldKind.OTHER),
        ({}, FieldKind.OTHER),
        ("nonsense", FieldKind.OTHER),
    ],
)
def test_kinds(schema: Any, kind: FieldKind) -> None:
    assert field(schema).kinds == {kind}


def test_references_in_a_circle_end() -> None:
    circle = {"anyOf": [{"$ref": "#/components/schemas/loop"}]}

    assert field({"$ref": "#/components/schemas/loop"}, {"loop": circle}).kinds == {FieldKind.OTHER}
    assert field({"$ref": "#/nowhere/at/all"}).kinds == {FieldKind.OTHER}


ITERATOR = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}


@pytest.mark.parametrize(
    ("output", "cog", "kind"),
    [
        (URI, "0.9", OutputKind.PICTURES),
        ({"type": "array", "items": URI}, "0.9", OutputKind.PICTURES),
        ({"type": "array", "items": {"$ref": "#/components/schemas/File"}}, "0.9", OutputKind.PICTURES),
        ({"allOf": [{"$ref": "#/components/schemas/File"}]}, "0.9", OutputKind.PICTURES),
        ({"type": "string"}, "0.9", OutputKind.TEXT),
        ({"type": "object"}, "0.9", OutputKind.TEXT),
        ({**ITERATOR, "x-cog-array-display": "concatenate"}, "0.9", OutputKind.TEXT_STREAM),
        ({"type": "array", "items": {"type": "string"}}, "0.9", OutputKind.TEXT),
        ({"type": "array", "items": {"type": "string"}}, "0.3.8", OutputKind.TEXT_STREAM),
        ({"type": "array", "items": {"type": "string"}}, "0.3.9", OutputKind.TEXT),
        ({"type": "array", "items": {"type": "number"}}, "0.9", None),
        ({"type": "integer"}, "0.9", None),
        (None, "0.9", None),
    ],
)
def test_the_output_kind_of_a_model(output: Any, cog: str, kind: OutputKind | None) -> None:
    assert CogSchema(document(output, schemas={"File": URI}), cog).read_output_kind() is kind


def test_a_model_without_a_schema_has_no_fields() -> None:
    assert CogSchema({}).read_fields() is None
    assert CogSchema({"components": {"schemas": {"Input": {"type": "object"}}}}).read_fields() == ()


@pytest.mark.parametrize(
    ("name", "schema", "is_secret"),
    [
        ("key", {"type": "string", "format": "password", "writeOnly": True}, True),
        ("key", {"type": "string", "x-cog-secret": True}, True),
        ("replicate_api_key", {"type": "string"}, True),
        ("hf_token", {"type": "string"}, True),
        ("max_tokens", {"type": "integer"}, False),
        ("prompt", {"type": "string"}, False),
    ],
)
def test_secrets_are_known_by_their_mark_and_their_name(name: str, schema: Any, is_secret: bool) -> None:
    document: dict[str, Any] = {"components": {"schemas": {"Input": {"properties": {name: schema}}}}}

    fields = CogSchema(document).read_fields()

    assert fields is not None
    assert fields[0].is_secret is is_secret
