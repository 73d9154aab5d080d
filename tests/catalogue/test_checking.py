"""The findings of `models check`: each mismatch with the published schema, with the change to make."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.checking import check_model, check_price
from bot.catalogue.loading import load_catalogue
from bot.catalogue.option_mapping import FIELD_NAMES, OPTION_KINDS
from bot.commands import MENU
from bot.core.models import FieldKind, Metric, ModelSchema, OutputKind, PriceTier, Task
from bot.dispatch.declaration import OptionKind
from tests.catalogue.samples import FOX, NEWER, PIN, make_entry, make_field


def list_errors(model: Any, published: ModelSchema = FOX) -> list[str]:
    return [finding.text for finding in check_model(model, published) if finding.is_error]


def make_tier(micros: int, **when: str) -> PriceTier:
    return PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(micros), {name: (value,) for name, value in when.items()})


@pytest.mark.parametrize(
    ("published", "sentence", "is_error"),
    [
        ((), "publishes no price that could be read.", False),
        (
            (make_tier(12_000, quality="low"),),
            'publishes $0.012 for each image_output_count when quality = "low", not $0.01: set usd in price.tiers',
            True,
        ),
        ((make_tier(5_000),), "publishes $0.005 for each image_output_count, not $0.01: set usd in price.tiers", False),
        (
            (make_tier(8_000_000),),
            "not $0.01: more than an owner is charged unasked. Leave such requests out, or agree.",
            True,
        ),
        (
            (PriceTier(Metric.RUN, Fraction(15_000)),),
            "publishes $0.015 for each run, which the entry does not count: add a tier to price.tiers.",
            True,
        ),
    ],
)
def test_a_price_that_drifted_is_named(published: tuple[PriceTier, ...], sentence: str, is_error: bool) -> None:
    finding = check_price(make_entry().price, published)[0]

    assert sentence in finding.text
    assert finding.is_error is is_error


def test_a_metric_that_is_not_published_any_more_is_named() -> None:
    findings = check_price(make_entry().price, (PriceTier(Metric.RUN, Fraction(1)),))

    assert findings[-1].text == "publishes no price for each image_output_count, as the entry has."
    assert check_price(make_entry().price, (make_tier(10_000), make_tier(10_000, quality="low"))) == []


def test_an_entry_that_fits_has_no_findings() -> None:
    fitting = {
        "aspect": {"to": "aspect_ratio", "choices": ["1:1"]},
        "count": {"to": "num_outputs", "minimum": 1, "maximum": 2, "default": 1},
        "image": {"to": "image", "file": True},
        "steps": {"expands": {"512": {"size": 512}, "1024": {"size": 1024}}},
    }

    assert check_model(make_entry(fitting, fixed={"go_fast": False, "samples": "4"}), FOX) == []


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (
            {"count": {"to": "num_outputs", "minimum": 0, "maximum": 8}},
            "takes num_outputs from 1 on, not 0: set minimum = 1 in inputs.count.",
        ),
        (
            {"count": {"to": "num_outputs", "minimum": 1, "maximum": 8}},
            "takes num_outputs up to 4, not 8: set maximum = 4 in inputs.count.",
        ),
        ({"count": {"to": "num_outputs", "minimum": 1}}, "up to 4: set maximum = 4 in inputs.count."),
        (
            {"aspect": {"to": "aspect_ratio", "choices": ["1:1", "21:9"]}},
            "does not take 21:9 for aspect_ratio: take it out of the choices of inputs.aspect; it takes 1:1, 16:9.",
        ),
        (
            {"aspect": "aspect_ratio"},
            'takes only some values for aspect_ratio: add choices = ["1:1", "16:9"] to inputs.aspect.',
        ),
        (
            {"seed": "seed"},
            "has no field seed any more: take it out of inputs.seed, or name another of prompt, aspect_ratio",
        ),
        ({"image": "image"}, "takes a file for image: add file = true to inputs.image."),
        (
            {"image": {"to": "pages", "file": True}},
            "takes a list of files for pages, and inputs.image sends one file: write files = 4, or the most that the "
            "model accepts, instead of file = true.",
        ),
        (
            {"image": {"to": "image", "files": 3}},
            "takes a file for image, not a list of files: take files = … out of inputs.image.",
        ),
        (
            {"image": {"to": "samples", "file": True}},
            "takes a text for samples, not a file: take file = true out of inputs.image.",
        ),
        ({"count": "samples"}, "takes a text for samples, and count is a number: use expands in inputs.count."),
        (
            {"aspect": {"expands": {"1:1": {"width": 2048, "hight": 64}}}},
            'does not take width = 2048 of inputs.aspect.expands."1:1": it takes at most 1024.',
        ),
        (
            {"aspect": {"expands": {"1:1": {"hight": 64}}}},
            'has no field hight any more: take it out of inputs.aspect.expands."1:1"',
        ),
        (
            {"image": {"to": "image", "file": True, "also": {"go_fast": "yes"}}},
            'does not take go_fast = "yes" of inputs.image.also: it takes a yes or no.',
        ),
        (
            {"aspect": {"to": "aspect_ratio", "choices": ["1:1"], "default": "4:3"}},
            'does not take the default "4:3" of inputs.aspect: it takes "1:1", "16:9".',
        ),
        ({"prompt": "prompt"}, "takes at most 500 characters of prompt: set max_length = 500 in inputs.prompt."),
    ],
)
def test_a_mismatched_input_is_reported_with_the_change(inputs: dict[str, Any], sentence: str) -> None:
    assert any(sentence in text for text in list_errors(make_entry(inputs)))


@pytest.mark.parametrize(
    ("fixed", "sentence"),
    [
        ({"size": 256}, "does not take size = 256 of fixed: it takes 512, 1024."),
        ({"samples": 4}, "does not take samples = 4 of fixed: it takes a text."),
        ({"go_fast": 1}, "does not take go_fast = 1 of fixed: it takes a yes or no."),
        ({"width": 32}, "does not take width = 32 of fixed: it takes 64 and more."),
        ({"prompt": "x" * 501}, "it takes at most 500 characters."),
        ({"gone": True}, "has no field gone any more: take it out of fixed"),
    ],
)
def test_a_mismatched_fixed_field_is_reported_with_the_change(fixed: dict[str, Any], sentence: str) -> None:
    assert any(sentence in text for text in list_errors(make_entry(fixed=fixed)))


def test_a_required_field_that_is_never_sent_is_reported() -> None:
    published = replace(FOX, fields=(*(FOX.fields or ()), make_field("mask", FieldKind.FILE, is_required=True)))

    assert list_errors(make_entry(), published) == [
        "requires mask (a file), which is never sent: add it to inputs or to fixed."
    ]
    assert list_errors(make_entry(fixed={"mask": "https://example.com/mask.png"}), published) == []


def test_a_field_sent_with_an_optional_file_does_not_count_as_sent() -> None:
    published = replace(FOX, fields=(*(FOX.fields or ()), make_field("mode", is_required=True)))
    inputs = {"image": {"to": "image", "file": True, "also": {"mode": "edit"}}}

    assert len(list_errors(make_entry(inputs), published)) == 1


def test_another_kind_of_output_is_reported() -> None:
    assert list_errors(make_entry(output="text"), replace(FOX, output=OutputKind.TEXT_STREAM)) == [
        'gives text_stream, not text: set output = "text_stream".'
    ]
    assert list_errors(make_entry(), replace(FOX, output=None)) == []


def test_a_newer_version_is_advice_and_no_error() -> None:
    (finding,) = check_model(make_entry(version=PIN), replace(FOX, newest_version=NEWER))

    assert not finding.is_error
    assert finding.text == f'has a newer version: set version = "{NEWER}" and check again to move to it.'


def test_a_community_model_needs_a_pinned_version() -> None:
    assert list_errors(make_entry(), replace(FOX, is_official=False)) == [
        f'is not kept current by the backend, so it needs a version: add version = "{PIN}".'
    ]
    assert list_errors(make_entry(version=PIN), replace(FOX, is_official=False)) == []


def test_a_deployment_runs_its_own_version() -> None:
    deployed = make_entry(deployment="ana/fast")

    assert check_model(deployed, replace(FOX, is_official=False, newest_version=NEWER)) == []
    assert list_errors(make_entry(deployment="ana/fast", version=NEWER)) == [
        f'runs another version than the entry pins: set version = "{PIN}", or leave it out.'
    ]


def test_a_missing_schema_is_advice_and_no_error() -> None:
    (finding,) = check_model(make_entry({"seed": "seed"}), replace(FOX, fields=None))

    assert not finding.is_error


# The table of options that drafting and checking use.


def test_the_table_of_options_matches_the_commands() -> None:
    kinds = {
        OptionKind.TEXT: FieldKind.TEXT,
        OptionKind.INTEGER: FieldKind.INTEGER,
        OptionKind.NUMBER: FieldKind.NUMBER,
        OptionKind.FLAG: FieldKind.BOOLEAN,
        OptionKind.FILE: FieldKind.FILE,
    }
    # The bot's own options; /chat builds its prompt from message and system.
    excluded = {"model", "preset", "batch", "message", "file", "system"}
    for form in MENU:
        # /undo edits by the options of an earlier job.
        if (task := form.declaration.task) is None or form.declaration.name == "undo":
            continue
        declared = {
            option.name: kinds[option.kind] for option in form.declaration.options if option.name not in excluded
        }
        if task is Task.CHAT:
            declared |= {"prompt": FieldKind.TEXT, "system": FieldKind.TEXT, "messages": FieldKind.OTHER}
        if task is Task.CAPTION:
            declared |= {"max_tokens": FieldKind.INTEGER}  # bounds the price of a model that is paid by the token
        assert {name: OPTION_KINDS[name] for name in FIELD_NAMES[task]} == declared


def test_the_built_in_catalogue_uses_known_options() -> None:
    for model in Catalogue(load_catalogue()).list_all():
        assert model.inputs.keys() <= FIELD_NAMES[model.task].keys()
