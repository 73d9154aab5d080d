"""The prices on a model's page, in each form that the page may have, and on pages that are no price pages."""

import html
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backends.replicate.models import build_price_page_url, parse_price_page
from bot.core.errors import InputRefused
from bot.core.models import Metric, PriceTier

LOW = {
    "criteria": [{"property": "quality", "value": "low"}],
    "prices": [{"metric": "image_output_count", "price": "$0.012", "type": "per-unit", "title": "per output image"}],
}
TOKENS = {
    "criteria": [],
    "prices": [
        {"metric": "token_input_count", "price": "$0.05", "title": "per million input tokens"},
        {"metric": "image_output_count", "price": 3.0, "title": "per thousand output images"},
        {"metric": "moon_count", "price": "$1.00", "title": "per moon"},
    ],
}
EXPECTED = (
    PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(12_000), {"quality": ("low",)}),
    PriceTier(Metric.TOKEN_INPUT_COUNT, Fraction(5, 100)),
    PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(3_000)),
)


def make_props(*tiers: Any) -> str:
    return json.dumps({"model": {"billingConfig": {"current_tiers": list(tiers)}}})


@pytest.mark.parametrize(
    "page",
    [
        f'<script type="application/json">{make_props(LOW, TOKENS)}</script>',
        f'<div data-props="{html.escape(make_props(LOW, TOKENS))}"></div>',
        f"<script>push({json.dumps(make_props(LOW, TOKENS))})</script>",
    ],
)
def test_prices_are_read_wherever_the_page_embeds_them(page: str) -> None:
    assert parse_price_page(page) == EXPECTED


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>",
        '{"billingConfig": null}',
        '{"billingConfig": {"current_tiers": null}}',
        '{"billingConfig": {"current_tiers": [',
        '{"billingConfig": ' + '{"a":' * 10_000,
        make_props({"prices": [{"metric": "image_output_count", "price": "free"}]}),
        make_props({"prices": [{"metric": "image_output_count", "price": True}]}),
        make_props({"prices": [{"metric": "image_output_count", "price": "$-1"}]}),
    ],
)
def test_a_page_without_a_readable_price_has_none(page: str) -> None:
    assert parse_price_page(page) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_page_breaks_the_reader(value: Any) -> None:
    parse_price_page(json.dumps({"billingConfig": {"current_tiers": [{"criteria": [value], "prices": [value]}]}}))


def test_the_page_of_a_model_is_beside_the_api() -> None:
    url = "https://replicate.com/openai/gpt-image-2/api/schema"
    assert build_price_page_url("https://api.replicate.com/v1", "openai/gpt-image-2") == url
    assert build_price_page_url("http://127.0.0.1:99", "a/b") == "http://127.0.0.1:99/a/b/api/schema"
    with pytest.raises(InputRefused):
        build_price_page_url("https://api.replicate.com", "a/../b")
