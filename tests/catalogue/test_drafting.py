"""Drafts: whatever a model publishes, what comes out is TOML that loads and that the check has nothing against."""

import tomllib
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.checking import check_model
from bot.catalogue.drafting import (
    DraftingError,
    build_toml_comment,
    build_toml_value,
    derive_key,
    draft_entry,
    dump_toml,
)
from bot.catalogue.loading import PRICE_PLACEHOLDER, CatalogueError, parse_model
from bot.catalogue.option_mapping import FIELD_NAMES
from bot.core.model_schema import FieldKind, ModelSchema, SchemaField
from bot.core.models import Model, OutputKind, Task
from tests.catalogue.samples import FOX, PIN, make_field

TODAY = date(2026, 11, 20)
PICTURE = make_field("image", FieldKind.FILE, is_required=True)
INTEGER, NUMBER = FieldKind.INTEGER, FieldKind.NUMBER


def of(*fields: SchemaField, output: OutputKind = OutputKind.PICTURES, **more: Any) -> ModelSchema:
    return replace(FOX, fields=fields, output=output, **more)


def table(published: ModelSchema, **options: Any) -> dict[str, Any]:
    drafted = draft_entry(published, today=TODAY, **options)
    tables = tomllib.loads(drafted.text)
    assert list(tables) == [drafted.key]
    found: dict[str, Any] = tables[drafted.key]
    return found


def priced(drafted: dict[str, Any]) -> Model:
    """As its owner completes it."""
    price = {name: "0.01" if value == PRICE_PLACEHOLDER else value for name, value in drafted["price"].items()}
    return parse_model("drafted", drafted | {"price": price})


def test_a_painter() -> None:
    drafted = table(replace(FOX, usual_seconds=3.26, description="Draws foxes.\nWell."))

    assert drafted["inputs"] == {
        "prompt": {"to": "prompt", "max_length": 500},
        "aspect": {"to": "aspect_ratio", "choices": ["1:1", "16:9"]},
        "count": {"to": "num_outputs", "minimum": 1, "maximum": 4},
        "image": {"to": "image", "file": True},
    }
    assert (drafted["task"], drafted["ref"], drafted["output"]) == ("imagine", "acme/fox", "pictures")
    assert (drafted["usual_seconds"], drafted["description"]) == (3.3, "Draws foxes. Well.")
    assert "version" not in drafted


def test_the_price_is_left_to_the_owner_and_nothing_runs_without_it() -> None:
    drafted = table(FOX)

    assert drafted["price"] == {"usd_per_image": "FILL IN", "source": "replicate.com/acme/fox", "read_on": TODAY}
    with pytest.raises(CatalogueError, match=r"it has no price yet; find it at replicate.com/acme/fox and fill it in"):
        parse_model("fox", drafted)
    assert priced(drafted).price.micros_per_image == 10_000


@pytest.mark.parametrize(
    ("published", "task", "unit"),
    [
        (of(make_field("prompt")), Task.IMAGINE, "usd_per_image"),
        (of(make_field("prompt"), is_official=False), Task.IMAGINE, "usd_per_second"),
        (of(PICTURE, make_field("scale", NUMBER)), Task.UPSCALE, "usd_per_image"),
        (of(PICTURE, output=OutputKind.TEXT), Task.CAPTION, "usd_per_second"),
        (of(PICTURE, make_field("prompt"), output=OutputKind.TEXT_STREAM), Task.CAPTION, "usd_per_second"),
        (of(make_field("prompt"), output=OutputKind.TEXT_STREAM), Task.CHAT, "usd_per_million_tokens_in"),
        (
            of(make_field("prompt"), make_field("image", FieldKind.FILE), output=OutputKind.TEXT),
            Task.CHAT,
            "usd_per_million_tokens_in",
        ),
    ],
)
def test_the_task_is_guessed_from_what_goes_in_and_comes_out(published: ModelSchema, task: Task, unit: str) -> None:
    drafted = table(published)

    assert drafted["task"] == task
    assert unit in drafted["price"]


def test_what_fits_no_command_is_said() -> None:
    with pytest.raises(DraftingError, match="No command fits acme/fox, which takes audio and gives text.") as caught:
        draft_entry(of(make_field("audio", FieldKind.FILE), output=OutputKind.TEXT), today=TODAY)

    assert "--task imagine or upscale or caption or chat" in str(caught.value)
    with pytest.raises(DraftingError, match="publishes no schema"):
        draft_entry(replace(FOX, fields=None), today=TODAY)


def test_a_task_can_be_named() -> None:
    drafted = draft_entry(of(PICTURE), today=TODAY, task=Task.UPSCALE, key="bigger")

    assert drafted.text.startswith("[bigger]\n")
    assert drafted.todo[1:] == (
        "/upscale always gives scale, and no field of this model looks like it: name one in inputs.",
    )


def test_a_pin_goes_with_models_that_nobody_keeps_current() -> None:
    assert table(replace(FOX, is_official=False))["version"] == PIN


def test_width_and_height_become_shapes_within_their_bounds() -> None:
    side = {"minimum": 256, "maximum": 1024, "default": 768}
    drafted = table(
        of(make_field("prompt"), make_field("width", INTEGER, **side), make_field("height", INTEGER, **side))
    )

    shapes = drafted["inputs"]["aspect"]["expands"]

    assert shapes["1:1"] == {"width": 768, "height": 768}
    assert shapes["16:9"] == {"width": 1024, "height": 576}


def test_a_side_of_few_sizes_takes_the_nearest() -> None:
    side = {"choices": (512, 768), "default": 512}
    drafted = table(
        of(make_field("prompt"), make_field("width", INTEGER, **side), make_field("height", INTEGER, **side))
    )

    assert set(drafted["inputs"]["aspect"]["expands"]) == {"1:1"}


def test_formats_are_ours_whatever_the_model_calls_them() -> None:
    drafted = table(of(make_field("prompt"), make_field("output_format", choices=("jpeg", "png", "tiff"))))

    assert drafted["inputs"]["format"] == {
        "expands": {"png": {"output_format": "png"}, "jpg": {"output_format": "jpeg"}},
        "default": "png",
    }


def test_numbers_of_a_list_are_spelled_out() -> None:
    drafted = table(of(PICTURE, make_field("scale", INTEGER, choices=(2, 4))))

    assert drafted["inputs"]["scale"]["expands"] == {
        "2": {"scale": 2}, "2.0": {"scale": 2}, "4": {"scale": 4}, "4.0": {"scale": 4},
    }  # fmt: skip


def test_a_count_that_the_price_could_not_see_is_left_out() -> None:
    drafted = table(of(make_field("prompt"), make_field("num_samples", choices=("1", "4"))))

    assert "count" not in drafted["inputs"]


def test_required_fields_without_an_option() -> None:
    drafted = draft_entry(
        of(
            make_field("prompt"),
            make_field("mode", choices=("fast", "good"), is_required=True),
            make_field("depth", INTEGER, default=3, is_required=True),
            make_field("mask", FieldKind.FILE, is_required=True),
        ),
        today=TODAY,
    )

    assert tomllib.loads(drafted.text)["fox"]["fixed"] == {"mode": "fast", "depth": 3}
    assert drafted.todo[1:] == ("The model requires mask (file): give it a value in fixed.",)
    assert "# FILL IN: The model requires mask" in drafted.text


def test_llamas_get_the_chat_template() -> None:
    llama = of(
        make_field("prompt"),
        make_field("max_tokens", INTEGER),
        make_field("prompt_template"),
        output=OutputKind.TEXT_STREAM,
    )
    drafted = table(replace(llama, ref="meta/meta-llama-3-8b-instruct"))

    assert drafted["template"] == "llama3"
    assert drafted["fixed"] == {"prompt_template": "{prompt}"}
    assert drafted["inputs"]["max_tokens"] == {"to": "max_tokens", "minimum": 1, "maximum": 4096, "default": 1024}


def test_what_the_bot_cannot_use_is_said_in_the_draft() -> None:
    text = draft_entry(
        of(make_field("prompt"), make_field("pages", FieldKind.FILES), make_field("fps", INTEGER)), today=TODAY
    ).text

    assert "# It may give videos or sound, which the bot cannot show." in text
    assert "# pages takes a list of files, which the bot does not send." in text
    assert "# Left to the model: pages (list of files), fps (whole number)." in text


@pytest.mark.parametrize(
    ("ref", "key"), [("a/flux-1.1-pro", "flux-1-1-pro"), ("a/SDXL", "sdxl"), ("a/狐", "model"), ("a/_x_", "x")]
)
def test_keys(ref: str, key: str) -> None:
    assert derive_key(ref) == key


NAMES_OF_FIELDS = st.sampled_from(
    sorted(
        {name for names in FIELD_NAMES.values() for options in names.values() for name in options}
        | {"width", "height", "go_fast", "odd name", "ä.b", "prompt_template"}
    )
)
BOUND = st.none() | st.integers(-3, 2000).map(float)
VALUES = st.text(max_size=8) | st.integers(-5, 2000) | st.booleans() | st.floats(0, 10)


@st.composite
def fields(draw: st.DrawFn) -> SchemaField:
    kind = draw(st.sampled_from(FieldKind))
    low, high = draw(BOUND), draw(BOUND)
    if low is not None and high is not None and low > high:
        low, high = high, low
    is_number = kind in (INTEGER, NUMBER)
    choices: tuple[Any, ...] = ()
    if draw(st.booleans()) and kind is FieldKind.TEXT:
        choices = tuple(
            draw(st.lists(st.sampled_from(["1:1", "png", "jpeg", "x\ny", "\x7f", '"""']), min_size=1, unique=True))
        )
    elif draw(st.booleans()) and kind is INTEGER:
        low = high = None
        choices = tuple(draw(st.lists(st.integers(1, 2048), min_size=1, unique=True)))
    return SchemaField(
        draw(NAMES_OF_FIELDS),
        frozenset({kind}),
        is_required=draw(st.booleans()),
        minimum=low if is_number else None,
        maximum=high if is_number else None,
        max_length=draw(st.none() | st.integers(1, 9)) if kind is FieldKind.TEXT and not choices else None,
        choices=choices,
    )


@given(
    st.lists(fields(), max_size=12, unique_by=lambda each: each.name),
    st.sampled_from(Task),
    st.text(max_size=200),
    st.booleans(),
    st.sampled_from(OutputKind),
)
def test_whatever_is_published_the_draft_loads_and_its_inputs_fit(
    published_fields: list[SchemaField], task: Task, words: str, is_official: bool, output: OutputKind
) -> None:
    published = of(*published_fields, output=output, description=words, is_official=is_official)

    drafted = draft_entry(published, today=TODAY, task=task)

    model = priced(tomllib.loads(drafted.text)[drafted.key])
    left = [finding.text for finding in check_model(model, published) if finding.is_error]
    assert [text for text in left if not text.startswith("requires ")] == []
    assert len(left) <= len(drafted.todo)


def written(value: Any, comment: str = "") -> str:
    document = tomlkit.document()
    document.add(build_toml_comment(comment))
    document.add("value", build_toml_value(value))
    return dump_toml(document)


@given(st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)))
def test_values_are_read_back_as_they_were(value: Any) -> None:
    assert tomllib.loads(written(value))["value"] == value


def test_half_an_emoji_is_no_value() -> None:
    assert tomllib.loads(written("a" + chr(0xD83D)))["value"] == "a\ufffd"


@given(st.text())
def test_no_text_escapes_from_a_remark(text: str) -> None:
    assert tomllib.loads(written(1, comment=text)) == {"value": 1}


def test_null_is_no_value() -> None:
    with pytest.raises(ValueError, match="no null"):
        build_toml_value(None)
