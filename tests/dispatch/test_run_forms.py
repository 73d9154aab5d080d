"""Forms of published schemas: each platform takes the form, and a filled form sends exactly what the schema takes.

The schemas are those of all models of the sandbox, and generated ones.
"""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backends.cog_schema import CogSchema
from bot.catalogue.drafting import DraftingError
from bot.catalogue.option_mapping import explain_mismatch
from bot.catalogue.running import list_run_fields
from bot.core.errors import BadOption
from bot.core.json import JSON
from bot.core.models import FieldKind, ModelSchema, SchemaField
from bot.dispatch.declaration import OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.dispatch.run_forms import declare_form, dump_inputs, read_input, read_inputs, read_submission, show_values
from bot.dispatch.run_questions import list_steps
from bot.platforms.discord.forms import render_modal
from bot.platforms.slack.forms import SlackFormOrigin
from bot.platforms.slack.forms import render_modal as render_slack_modal
from bot.platforms.web.commands import form_to_json
from bot.sandbox.catalogue import create_models
from bot.sandbox.guide import Guide
from tests.emulators.discord.components import validate_modal
from tests.emulators.slack.views import validate_view

SERVICES = cast(Services, SimpleNamespace())
PERSON = cast(Any, SimpleNamespace(team=None))
SANDBOX_SCHEMAS = {model.full_name: model.openapi_schema() for model in create_models(Guide(()))}

names = st.from_regex(r"[a-z][a-z0-9_]{0,90}", fullmatch=True)
bounds = st.integers(-1_000, 1_000).map(lambda low: {"minimum": low, "maximum": low + 500})
choices = st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=40, unique=True)
nodes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "string"}),
    st.integers(1, 9_000).map(lambda length: {"type": "string", "maxLength": length}),
    choices.map(lambda values: {"type": "string", "enum": values}),
    st.lists(st.integers(0, 99), min_size=1, unique=True).map(lambda values: {"type": "integer", "enum": values}),
    bounds.map(lambda ends: {"type": "integer", **ends}),
    bounds.map(lambda ends: {"type": "number", **ends}),
    st.just({"type": "boolean", "default": True}),
    st.just({"type": "string", "format": "uri"}),
    st.just({"type": "string", "format": "password"}),
    st.sampled_from(["string", "integer", "object"]).map(lambda kind: {"type": "array", "items": {"type": kind}}),
    st.just({"type": "array", "items": {"type": "string", "format": "uri"}}),
    st.just({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    st.just({"type": "object"}),
)
described = st.tuples(nodes, st.text(max_size=300)).map(lambda pair: {**pair[0], "description": pair[1]})
documents = st.dictionaries(names, described, max_size=50).flatmap(
    lambda properties: st.fixed_dictionaries(
        {
            "properties": st.just(properties),
            "required": st.lists(st.sampled_from(sorted(properties) or ["x"]), max_size=6),
        }
    )
)
words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=50)


def read_fields(document: dict[str, Any]) -> tuple[SchemaField, ...]:
    published = ModelSchema("owner/name", "5" * 64, "5" * 64, fields=CogSchema(document).read_fields())
    return list_run_fields(published)


def check_forms(fields: tuple[SchemaField, ...], values: dict[str, JSON]) -> None:
    """Fail unless each platform takes each step of the form, with these known values."""
    shown = show_values(fields, values)
    for title, step in list_steps(fields, "discord"):
        modal = render_modal(FormDraft(declare_form(fields), shown, title, step), "easel-form:fill:x:1", SERVICES)
        assert list(validate_modal(modal)) == []
    origin = SlackFormOrigin("run", "C1", action="fill", job="x" * 20, n=1)
    view = render_slack_modal(
        declare_form(fields), SERVICES, origin, values=shown, title="A model of 2026 with a long title", asks_files=True
    )
    assert validate_view(view, PERSON, "modal") == []
    draft = FormDraft(declare_form(fields), shown, "A model", asks_files=True)
    page = cast(Any, json.loads(json.dumps(form_to_json(draft))))
    assert [option["name"] for option in page["options"]] == [field.name for field in fields]


@pytest.mark.parametrize("document", SANDBOX_SCHEMAS.values(), ids=SANDBOX_SCHEMAS)
def test_the_form_of_each_model_of_the_sandbox_fits_each_platform(document: dict[str, Any]) -> None:
    fields = read_fields(document)

    assert fields
    check_forms(fields, {})


@given(documents, st.data())
def test_a_filled_form_sends_exactly_what_the_schema_takes(schema: dict[str, Any], data: st.DataObject) -> None:
    try:
        fields = read_fields({"components": {"schemas": {"Input": schema}}})
    except DraftingError:  # a needed secret, a needed name that no form takes, or too many needed inputs
        return
    typed: dict[str, OptionValue] = {}
    expected: dict[str, JSON] = {}
    for field in fields:
        if data.draw(st.booleans()) and (pair := data.draw(draw_value(field))) is not None:
            typed[field.name], expected[field.name] = pair

    values = read_submission(fields, typed)

    assert values == expected
    assert [explain_mismatch(field, values[field.name]) for field in fields if field.name in values] == [""] * len(
        values
    )
    check_forms(fields, values)
    # The question keeps the inputs, and a form opened again changes nothing.
    assert read_inputs(fields, dump_inputs(values), None) == values
    assert read_submission(fields, show_values(fields, values)) == {
        name: value for name, value in values.items() if name in show_values(fields, values)
    }


def draw_value(field: SchemaField) -> st.SearchStrategy[tuple[OptionValue, JSON] | None]:
    """Return what a person types into a field, and the value to send."""
    if field.kinds & {FieldKind.FILE, FieldKind.FILES}:
        return st.none()
    if field.choices:
        return (
            st.sampled_from(field.choices).filter(lambda one: bool(str(one).strip())).map(lambda one: (str(one), one))
        )
    if FieldKind.BOOLEAN in field.kinds:
        return st.booleans().map(lambda one: ("yes" if one else "no", one))
    low, high = int(field.minimum or 0), int(field.maximum or 9_999)
    if field.kinds & {FieldKind.INTEGER, FieldKind.NUMBER}:
        return st.integers(low, high).map(lambda one: (str(one), one))
    if FieldKind.NUMBERS in field.kinds:
        return st.lists(st.integers(-99, 99), min_size=1).map(lambda many: ("\n".join(map(str, many)), list(many)))
    if FieldKind.TEXTS in field.kinds:
        lines = st.lists(words.filter(lambda line: not line.startswith("[")), min_size=1)
        return lines.map(lambda many: ("\n".join(many), list(many)))
    if FieldKind.OTHER in field.kinds:
        return st.dictionaries(words, st.integers()).map(lambda one: (json.dumps(one), dict(one)))
    return words.map(lambda one: (one[: field.max_length], one[: field.max_length]))


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_a_value_outside_the_schema_is_refused_at_its_field(value: str) -> None:
    field = SchemaField("fast", frozenset((FieldKind.BOOLEAN,)))

    with pytest.raises(BadOption, match="fast is yes or no"):
        read_input(field, value)
