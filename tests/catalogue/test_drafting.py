"""Drafts of catalogue entries: the draft of any schema is TOML that loads and passes the check."""

import tomllib
from dataclasses import replace
from datetime import date
from fractions import Fraction
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
from bot.catalogue.loading import PRICE_PLACEHOLDER, parse_model
from bot.catalogue.option_mapping import FIELD_NAMES
from bot.core.models import FieldKind, Metric, Model, ModelSchema, OutputKind, PriceTier, SchemaField, Task
from tests.catalogue.samples import FOX, PIN, make_field

TODAY = date(2026, 11, 20)
PICTURE = make_field("image", FieldKind.FILE, is_required=True)
INTEGER, NUMBER = FieldKind.INTEGER, FieldKind.NUMBER


def make_schema(*fields: SchemaField, output: OutputKind = OutputKind.PICTURES, **more: Any) -> ModelSchema:
    return replace(FOX, fields=fields, output=output, **more)


def draft_table(published: ModelSchema, **options: Any) -> dict[str, Any]:
    draft = draft_entry(published, today=TODAY, **options)
    tables = tomllib.loads(draft.text)
    assert list(tables) == [draft.key]
    found: dict[str, Any] = tables[draft.key]
    return found


def complete_price(draft: dict[str, Any]) -> Model:
    """Return the model of a draft after the owner has filled in the price."""
    tiers = [tier | {"usd": "0.01"} if tier["usd"] == PRICE_PLACEHOLDER else tier for tier in draft["price"]["tiers"]]
    return parse_model("drafted", draft | {"price": draft["price"] | {"tiers": tiers}})


def test_an_image_model_maps_to_the_options_of_imagine() -> None:
    draft = draft_table(replace(FOX, usual_seconds=3.26, description="Draws foxes.\nWell."))

    assert draft["inputs"] == {
        "prompt": {"to": "prompt", "max_length": 500},
        "aspect": {"to": "aspect_ratio", "choices": ["1:1", "16:9"]},
        "count": {"to": "num_outputs", "minimum": 1, "maximum": 4},
        "image": {"to": "image", "file": True},
    }
    assert (draft["task"], draft["ref"], draft["output"]) == ("imagine", "acme/fox", "pictures")
    assert (draft["usual_seconds"], draft["description"]) == (3.3, "Draws foxes. Well.")
    assert "version" not in draft


def test_the_owner_must_fill_in_the_price() -> None:
    draft = draft_table(FOX)

    assert draft["price"] == {
        "tiers": [{"per": "image_output_count", "usd": "FILL IN"}],
        "source": "replicate.com/acme/fox",
        "read_on": TODAY,
    }
    assert parse_model("fox", draft).price.objection == "has no price yet"
    assert complete_price(draft).price.tiers == (PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(10_000)),)
    assert complete_price(draft).price.objection == ""


LOW = PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(30_000), {"quality": ("low",)})
ODD = PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(8_000_000), {"quality": ("very_low-with-source-images",)})
WORDS = PriceTier(Metric.TOKEN_INPUT_COUNT, Fraction(5, 100))
DRAWN = PriceTier(Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT, Fraction(15_000))


def test_a_published_price_is_imported() -> None:
    published = replace(FOX, price_tiers=(LOW, WORDS, DRAWN))
    model = parse_model("fox", draft_table(published))

    assert model.price.tiers == (LOW, WORDS, DRAWN)
    assert model.price.bounds == {Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT: 16}
    assert model.price.objection == ""
    assert draft_entry(published, today=TODAY).todo == (
        "Check price.bounds, the most that one run may give where its inputs do not say.",
    )


def test_an_imported_price_above_the_bound_asks_the_owner() -> None:
    published = replace(FOX, price_tiers=(LOW, ODD))
    table = draft_table(published)

    objection = "costs $8 for each image_output_count, above the $1 that no owner is asked about"
    assert parse_model("fox", table).price.objection == objection
    assert draft_entry(published, today=TODAY).todo == (
        f"The model {objection}: it stays off. Set price.agreed = true if you agree.",
    )
    assert parse_model("fox", table | {"price": table["price"] | {"agreed": True}}).price.objection == ""


@pytest.mark.parametrize(
    ("published", "task", "unit"),
    [
        (make_schema(make_field("prompt")), Task.IMAGINE, "image_output_count"),
        (make_schema(make_field("prompt"), is_official=False), Task.IMAGINE, "predict_time"),
        (make_schema(PICTURE, make_field("scale", NUMBER)), Task.UPSCALE, "image_output_count"),
        (make_schema(PICTURE, make_field("prompt")), Task.EDIT, "image_output_count"),
        (
            make_schema(make_field("images", FieldKind.FILES, is_required=True), make_field("prompt")),
            Task.EDIT,
            "image_output_count",
        ),
        (replace(make_schema(PICTURE), ref="acme/remove-background"), Task.REMOVE_BACKGROUND, "image_output_count"),
        (
            replace(make_schema(PICTURE, make_field("scale", NUMBER)), ref="acme/codeformer"),
            Task.RESTORE,
            "image_output_count",
        ),
        (make_schema(PICTURE, output=OutputKind.TEXT), Task.CAPTION, "predict_time"),
        (make_schema(PICTURE, make_field("prompt"), output=OutputKind.TEXT_STREAM), Task.CAPTION, "predict_time"),
        (make_schema(make_field("prompt"), output=OutputKind.TEXT_STREAM), Task.CHAT, "token_input_count"),
        (
            make_schema(make_field("prompt"), make_field("image", FieldKind.FILE), output=OutputKind.TEXT),
            Task.CHAT,
            "token_input_count",
        ),
    ],
)
def test_the_task_is_guessed_from_inputs_and_output(published: ModelSchema, task: Task, unit: str) -> None:
    draft = draft_table(published)

    assert draft["task"] == task
    assert draft["price"]["tiers"][0]["per"] == unit


def test_a_schema_that_fits_no_command_is_refused() -> None:
    with pytest.raises(DraftingError, match="No command fits acme/fox, which takes audio and gives text.") as caught:
        draft_entry(make_schema(make_field("audio", FieldKind.FILE), output=OutputKind.TEXT), today=TODAY)

    assert f"--task {' or '.join(Task)}" in str(caught.value)
    with pytest.raises(DraftingError, match="publishes no schema"):
        draft_entry(replace(FOX, fields=None), today=TODAY)


def test_a_model_of_sounds_can_be_drafted_for_a_task() -> None:
    draft = draft_entry(make_schema(make_field("prompt"), output=OutputKind.AUDIO), today=TODAY, task=Task.MUSIC)

    assert 'task = "music"' in draft.text
    assert 'output = "audio"' in draft.text


def test_a_task_can_be_named() -> None:
    draft = draft_entry(make_schema(PICTURE), today=TODAY, task=Task.UPSCALE, key="bigger")

    assert draft.text.startswith("[bigger]\n")
    assert draft.todo[1:] == (
        "/upscale always gives scale, and no field of this model looks like it: name one in inputs.",
    )


def test_a_community_model_gets_a_pinned_version() -> None:
    assert draft_table(replace(FOX, is_official=False))["version"] == PIN


def test_the_ways_to_grow_a_picture_are_named_as_the_command_names_them() -> None:
    ways = make_field("outpaint", choices=("None", "Zoom out 2x", "Make square", "Left outpaint"))
    draft = draft_table(make_schema(make_field("prompt"), PICTURE, make_field("mask", FieldKind.FILE), ways))

    assert draft["task"] == "edit"
    assert draft["inputs"]["outpaint"]["expands"] == {
        "zoom out 2x": {"outpaint": "Zoom out 2x"},
        "square": {"outpaint": "Make square"},
        "left": {"outpaint": "Left outpaint"},
    }


def test_width_and_height_become_aspect_ratios_within_their_bounds() -> None:
    side = {"minimum": 256, "maximum": 1024, "default": 768}
    draft = draft_table(
        make_schema(make_field("prompt"), make_field("width", INTEGER, **side), make_field("height", INTEGER, **side))
    )

    shapes = draft["inputs"]["aspect"]["expands"]

    assert shapes["1:1"] == {"width": 768, "height": 768}
    assert shapes["16:9"] == {"width": 1024, "height": 576}


def test_a_side_with_few_sizes_gets_the_nearest_size() -> None:
    side = {"choices": (512, 768), "default": 512}
    draft = draft_table(
        make_schema(make_field("prompt"), make_field("width", INTEGER, **side), make_field("height", INTEGER, **side))
    )

    assert set(draft["inputs"]["aspect"]["expands"]) == {"1:1"}


def test_formats_have_the_bots_names() -> None:
    draft = draft_table(make_schema(make_field("prompt"), make_field("output_format", choices=("jpeg", "png", "tiff"))))

    assert draft["inputs"]["format"] == {
        "expands": {"png": {"output_format": "png"}, "jpg": {"output_format": "jpeg"}},
        "default": "png",
    }


def test_a_list_of_numbers_expands_to_choices() -> None:
    draft = draft_table(make_schema(PICTURE, make_field("scale", INTEGER, choices=(2, 4))))

    assert draft["inputs"]["scale"]["expands"] == {
        "2": {"scale": 2},
        "4": {"scale": 4},
    }


def test_a_count_that_the_price_cannot_read_is_left_out() -> None:
    draft = draft_table(make_schema(make_field("prompt"), make_field("num_samples", choices=("1", "4"))))

    assert "count" not in draft["inputs"]


def test_required_fields_without_an_option_become_fixed_or_todo() -> None:
    draft = draft_entry(
        make_schema(
            make_field("prompt"),
            make_field("mode", choices=("fast", "good"), is_required=True),
            make_field("depth", INTEGER, default=3, is_required=True),
            make_field("mask", FieldKind.FILE, is_required=True),
        ),
        today=TODAY,
    )

    assert tomllib.loads(draft.text)["fox"]["fixed"] == {"mode": "fast", "depth": 3}
    assert draft.todo[1:] == ("The model requires mask (file): give it a value in fixed.",)
    assert "# FILL IN: The model requires mask" in draft.text


def test_llama_models_get_the_chat_template() -> None:
    llama = make_schema(
        make_field("prompt"),
        make_field("max_tokens", INTEGER),
        make_field("prompt_template"),
        output=OutputKind.TEXT_STREAM,
    )
    draft = draft_table(replace(llama, ref="meta/meta-llama-3-8b-instruct"))

    assert draft["template"] == "llama3"
    assert draft["fixed"] == {"prompt_template": "{prompt}"}
    assert draft["inputs"]["max_tokens"] == {"to": "max_tokens", "minimum": 1, "maximum": 4096, "default": 1024}


def test_unusable_fields_are_named_in_the_draft() -> None:
    text = draft_entry(
        make_schema(make_field("prompt"), make_field("pages", FieldKind.FILES), make_field("fps", INTEGER)), today=TODAY
    ).text

    assert "# It may give videos or sound: if so, draft it again with --task video, speak or music." in text
    assert "# pages takes a list of files, which the bot does not send." in text
    assert "# Left to the model: pages (list of files), fps (whole number)." in text


@pytest.mark.parametrize(
    ("ref", "key"), [("a/flux-1.1-pro", "flux-1-1-pro"), ("a/SDXL", "sdxl"), ("a/狐", "model"), ("a/_x_", "x")]
)
def test_a_key_is_derived_from_the_backends_name(ref: str, key: str) -> None:
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
    st.sampled_from([OutputKind.PICTURES, OutputKind.TEXT, OutputKind.TEXT_STREAM]),
)
def test_a_draft_of_any_schema_loads_and_fits_the_schema(
    published_fields: list[SchemaField], task: Task, description: str, is_official: bool, output: OutputKind
) -> None:
    published = make_schema(*published_fields, output=output, description=description, is_official=is_official)

    draft = draft_entry(published, today=TODAY, task=task)

    model = complete_price(tomllib.loads(draft.text)[draft.key])
    left = [finding.text for finding in check_model(model, published) if finding.is_error]
    assert [text for text in left if not text.startswith("requires ")] == []
    assert len(left) <= len(draft.todo)


def write_toml(value: Any, comment: str = "") -> str:
    document = tomlkit.document()
    document.add(build_toml_comment(comment))
    document.add("value", build_toml_value(value))
    return dump_toml(document)


@given(st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)))
def test_values_survive_writing_and_parsing(value: Any) -> None:
    assert tomllib.loads(write_toml(value))["value"] == value


def test_a_lone_surrogate_is_replaced() -> None:
    assert tomllib.loads(write_toml("a" + chr(0xD83D)))["value"] == "a\ufffd"


@given(st.text())
def test_no_text_escapes_from_a_comment(text: str) -> None:
    assert tomllib.loads(write_toml(1, comment=text)) == {"value": 1}


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no null"):
        build_toml_value(None)


def test_models_of_sound_and_video_map_to_their_commands() -> None:
    video = draft_table(
        make_schema(
            make_field("prompt", is_required=True),
            make_field("start_image", FieldKind.FILE),
            make_field("duration", INTEGER, minimum=1, maximum=20, default=5),
            make_field("generate_audio", FieldKind.BOOLEAN, default=True),
            make_field("audio", FieldKind.FILE),
        )
    )
    voice = draft_table(make_schema(make_field("text", is_required=True), make_field("voice_id")))
    ear = draft_table(make_schema(make_field("audio_file", FieldKind.FILE, is_required=True), output=OutputKind.TEXT))

    assert (video["task"], video["output"]) == ("video", "video")
    assert video["inputs"] == {
        "prompt": "prompt",
        "image": {"to": "start_image", "file": True},
        "duration": {"to": "duration", "minimum": 1, "maximum": 20, "default": 5},
        "sound": {"to": "generate_audio", "default": True},
        "audio": {"to": "audio", "file": True, "media": ["audio"]},
    }
    assert (voice["task"], voice["output"]) == ("speak", "audio")
    assert voice["inputs"] == {"text": "text", "voice": "voice_id"}
    assert (ear["task"], ear["output"]) == ("transcribe", "text")
    assert ear["inputs"] == {"audio": {"to": "audio_file", "file": True, "media": ["audio", "video"]}}
