"""Estimates, costs after the run, and formatted amounts."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import load_catalogue, parse_model
from bot.core.backend import InputFile, RunMetrics
from bot.core.models import Metric, Model
from bot.core.money import Estimate
from bot.credits.pricing import (
    BillableOutput,
    CreditFormatter,
    compute_cost_micros,
    count_pixels,
    estimate_cost,
    format_price,
)

CATALOGUE = Catalogue(load_catalogue())
FORMATTER = CreditFormatter(1_000)

IMAGES, READ, WRITTEN = Metric.IMAGE_OUTPUT_COUNT, Metric.TOKEN_INPUT_COUNT, Metric.TOKEN_OUTPUT_COUNT
GIVEN, DRAWN = Metric.IMAGE_INPUT_MEGAPIXEL_COUNT, Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT


def make_priced_model(tiers: list[dict[str, Any]], bounds: dict[str, float] | None = None, **more: Any) -> Model:
    table: dict[str, Any] = {
        "title": "Fox",
        "task": "imagine",
        "ref": "acme/fox",
        "output": "pictures",
        "usual_seconds": 1,
        "max_seconds": 10,
        "price": {"tiers": tiers, "bounds": bounds or {}, "source": "a page", "read_on": "today"},
        "inputs": {"prompt": "prompt", "count": "num_outputs"},
    }
    return parse_model("fox", table | more)


def make_file(width: int, height: int) -> InputFile:
    return InputFile("ab" * 32, "image/png", 10, "a.png", width, height)


def test_pictures_are_estimated_by_request_and_charged_by_output() -> None:
    model = CATALOGUE.get("flux-schnell")
    metered = RunMetrics(amounts={IMAGES: 3})

    assert estimate_cost(model, {"num_outputs": 4}) == Estimate(12_000, 12_000)
    assert compute_cost_micros(model, {"num_outputs": 4}, metered, BillableOutput(files=4)) == 9_000
    assert compute_cost_micros(model, {"num_outputs": 4}, RunMetrics(), BillableOutput(files=2)) == 6_000


def test_offered_tools_are_held_as_the_json_that_templates_write() -> None:
    tokens = [{"per": "token_input_count", "usd": "1", "units": 1_000_000}]
    model = make_priced_model(tokens, task="chat", output="text_stream", inputs={"tools": "tools"})

    # {"name": "draw"} has 16 bytes, the words of the question 3.
    assert estimate_cost(model, {"messages": ["fox"], "tools": [{"name": "draw"}]}).max_micros == 3 + 16 + len("[]")


def test_seconds_are_held_up_to_the_limit_and_charged_as_run() -> None:
    model = CATALOGUE.get("sdxl")

    assert estimate_cost(model, {}) == Estimate(5_850, 58_500)
    assert estimate_cost(model, {}, usual_seconds=1_000) == Estimate(58_500, 58_500)
    assert compute_cost_micros(model, {}, RunMetrics(predict_seconds=2.0), BillableOutput()) == 1_950


@given(st.text(max_size=300), st.integers(1, 4096), st.floats(0, 1), st.floats(0, 1))
def test_tokens_never_cost_more_than_the_hold(
    prompt: str, max_tokens: int, read_share: float, written_share: float
) -> None:
    model = CATALOGUE.get("llama-3-70b")
    estimate = estimate_cost(model, {"prompt": prompt, "max_tokens": max_tokens})
    # No tokeniser makes more tokens than bytes, and no model writes more tokens than the request permits.
    amounts: dict[Metric, float] = {
        READ: int(len(prompt.encode()) * read_share),
        WRITTEN: int(max_tokens * written_share),
    }
    metered = RunMetrics(amounts=amounts)

    assert 0 <= compute_cost_micros(model, {"prompt": prompt}, metered, BillableOutput()) <= estimate.max_micros
    assert estimate.expected_micros <= estimate.max_micros


def test_tokens_of_an_unmetered_run_are_estimated_from_the_text_length() -> None:
    model = CATALOGUE.get("llama-3-8b")

    assert compute_cost_micros(model, {"prompt": "a" * 40_000}, RunMetrics(), BillableOutput(text="b" * 4_000)) == 750


def test_an_unmetered_run_that_succeeded_is_never_free() -> None:
    sdxl, schnell = CATALOGUE.get("sdxl"), CATALOGUE.get("flux-schnell")

    assert compute_cost_micros(sdxl, {}, RunMetrics(), BillableOutput(seconds=4.0)) == 3_900
    assert compute_cost_micros(sdxl, {}, RunMetrics(), BillableOutput()) == 5_850
    assert compute_cost_micros(schnell, {"num_outputs": 2}, RunMetrics(), BillableOutput()) == 6_000


def test_a_run_that_never_started_costs_nothing() -> None:
    unstarted = BillableOutput(has_started=False, has_succeeded=False)

    assert compute_cost_micros(CATALOGUE.get("sdxl"), {}, RunMetrics(), unstarted) == 0
    assert compute_cost_micros(CATALOGUE.get("llama-3-8b"), {"prompt": "a" * 40_000}, RunMetrics(), unstarted) == 0
    failed = BillableOutput(has_succeeded=False)
    assert compute_cost_micros(CATALOGUE.get("flux-schnell"), {}, RunMetrics(), failed) == 0


QUALITIES = make_priced_model(
    [
        {"when": {"quality": "low"}, "per": "image_output_count", "usd": "0.012"},
        {"when": {"quality": "medium"}, "per": "image_output_count", "usd": "0.047"},
        {"when": {"quality": "high"}, "per": "image_output_count", "usd": "0.128"},
    ]
)


@pytest.mark.parametrize(
    ("inputs", "micros"),
    [
        ({"quality": "low"}, 12_000),
        ({"quality": "medium", "num_outputs": 2}, 94_000),
        ({"quality": "auto"}, 128_000),
        ({}, 128_000),
    ],
)
def test_the_quality_decides_the_price_and_an_open_quality_costs_the_dearest(
    inputs: dict[str, Any], micros: int
) -> None:
    assert estimate_cost(QUALITIES, inputs) == Estimate(micros, micros)
    assert compute_cost_micros(QUALITIES, inputs, RunMetrics(), BillableOutput()) == micros


def test_a_given_picture_may_change_the_tier() -> None:
    model = make_priced_model(
        [
            {"when": {"images": "*"}, "per": "image_output_count", "usd": "0.22"},
            {"per": "image_output_count", "usd": "0.10"},
        ]
    )

    assert estimate_cost(model, {}).max_micros == 100_000
    assert estimate_cost(model, {"images": make_file(10, 10)}).max_micros == 220_000


def test_a_tier_that_may_apply_counts_beside_the_tier_that_does() -> None:
    surcharge = {"when": {"quality": "high"}, "per": "image_output_count", "usd": "0.50"}
    model = make_priced_model([surcharge, {"per": "image_output_count", "usd": "0.10"}])

    assert estimate_cost(model, {}).max_micros == 500_000
    assert estimate_cost(model, {"quality": "low"}).max_micros == 100_000


def test_a_smaller_picture_than_requested_is_within_the_hold_at_odd_prices() -> None:
    small = {"per": "image_output_count", "usd": "0.50", "up_to_megapixels": 1}
    model = make_priced_model([small, {"per": "image_output_count", "usd": "0.10", "up_to_megapixels": 4}])

    assert estimate_cost(model, {"resolution": "2 MP"}) == Estimate(100_000, 500_000)
    metered = RunMetrics(amounts={IMAGES: 1, DRAWN: 0.9})
    assert compute_cost_micros(model, {"resolution": "2 MP"}, metered, BillableOutput(files=1)) == 500_000


def test_a_run_and_megapixels_in_and_out_add_up() -> None:
    model = make_priced_model(
        [
            {"per": "run", "usd": "0.015"},
            {"per": "image_input_megapixel_count", "usd": "0.015"},
            {"per": "image_output_megapixel_count", "usd": "0.015"},
        ],
        bounds={"image_input_megapixel_count": 25, "image_output_megapixel_count": 4},
    )
    inputs: dict[str, Any] = {"resolution": "2 MP", "image": make_file(1500, 1000)}

    assert estimate_cost(model, {"resolution": "1 MP"}) == Estimate(30_000, 30_729)
    assert estimate_cost(model, inputs) == Estimate(67_500, 76_458)
    assert estimate_cost(model, {}) == Estimate(75_000, 75_000)
    stored: dict[str, Any] = {
        "resolution": "2 MP",
        "image": {"sha256": "a", "mime": "image/png", "size": 1, "width": 2000, "height": 1},
    }
    metered = RunMetrics(amounts={GIVEN: 2, DRAWN: 2.1})
    assert compute_cost_micros(model, stored, metered, BillableOutput(files=1)) == 76_500


def test_an_upscale_is_priced_by_the_size_of_the_result() -> None:
    model = make_priced_model(
        [
            {"per": "image_output_count", "usd": "0.05", "up_to_megapixels": 24},
            {"per": "image_output_count", "usd": "0.10", "up_to_megapixels": 48},
            {"per": "image_output_count", "usd": "0.82", "up_to_megapixels": 512},
        ],
        task="upscale",
        inputs={"image": {"to": "image", "file": True}, "scale": {"expands": {"4": {"upscale_factor": "4x"}}}},
    )

    assert estimate_cost(model, {"image": make_file(1000, 1000), "upscale_factor": "4x"}).max_micros == 50_000
    assert estimate_cost(model, {"image": make_file(1500, 1500), "upscale_factor": "4x"}).max_micros == 100_000
    assert estimate_cost(model, {"upscale_factor": "4x"}).max_micros == 820_000


def test_sizes_are_read_from_the_texts_that_models_take() -> None:
    assert count_pixels({"width": 100, "height": 50}) == 5_000
    assert count_pixels({"size": "1536*2048"}) == count_pixels({"aspect_ratio": "1536x2048"}) == 3_145_728
    assert count_pixels({"megapixels": "0.25"}) == 250_000
    assert count_pixels({"resolution": "4 MP"}) == 4_000_000
    assert count_pixels({"size": "2K"}) == 4_194_304
    assert count_pixels({"aspect_ratio": "16:9", "size": "custom"}) is None


def test_a_price_is_formatted_by_its_metrics() -> None:
    def format_usd(micros: Fraction) -> str:
        return f"${float(micros) / 1e6:g}"

    assert format_price(CATALOGUE.get("flux-schnell").price, format_usd) == "$0.003 a picture"
    assert format_price(QUALITIES.price, format_usd) == "$0.012 to $0.128 a picture"
    assert format_price(make_priced_model([{"per": "run", "usd": "0"}]).price, format_usd) == "free"
    assert format_price(make_priced_model([{"per": "run", "usd": "FILL IN"}]).price, format_usd) == "price unknown"


def test_amounts_are_formatted_as_credits() -> None:
    assert [FORMATTER.format(micros) for micros in (0, 3_000, 250, 49, 1_234_567)] == [
        "0",
        "3",
        "0.2",
        "less than 0.1",
        "1,234.6",
    ]
    assert FORMATTER.format_rounded_up(1) == "0.1 credits"
    assert FORMATTER.format_amount(1_000) == "1 credit"
    assert FORMATTER.format_estimate(Estimate(3_000, 3_000)) == "3 credits"
    assert FORMATTER.format_estimate(Estimate(5_850, 58_500)) == "about 5.8, at most 58.5 credits"
    assert FORMATTER.to_micros(2.5) == 2_500
