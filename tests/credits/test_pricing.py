"""Estimates, costs after the run, and formatted amounts."""

from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import load_catalogue
from bot.core.backend import RunMetrics
from bot.core.money import Estimate
from bot.credits.pricing import BillableOutput, CreditFormatter, compute_cost_micros, estimate_cost

CATALOGUE = Catalogue(load_catalogue())
FORMATTER = CreditFormatter(1_000)


def test_pictures_are_estimated_by_request_and_charged_by_output() -> None:
    model = CATALOGUE.get("flux-schnell")

    assert estimate_cost(model, {"num_outputs": 4}) == Estimate(12_000, 12_000)
    assert compute_cost_micros(model, {"num_outputs": 4}, RunMetrics(images=3), BillableOutput(images=4)) == 9_000
    assert compute_cost_micros(model, {"num_outputs": 4}, RunMetrics(), BillableOutput(images=2)) == 6_000


def test_seconds_are_held_up_to_the_limit_and_charged_as_run() -> None:
    model = CATALOGUE.get("sdxl")

    assert estimate_cost(model, {}) == Estimate(5_850, 58_500)
    assert estimate_cost(model, {}, usual_seconds=1_000) == Estimate(58_500, 58_500)
    assert compute_cost_micros(model, {}, RunMetrics(predict_seconds=2.0), BillableOutput()) == 1_950
    assert compute_cost_micros(model, {}, RunMetrics(), BillableOutput()) == 0


@given(st.text(max_size=300), st.integers(1, 4096), st.floats(0, 1), st.floats(0, 1))
def test_tokens_never_cost_more_than_the_hold(
    prompt: str, max_tokens: int, read_share: float, written_share: float
) -> None:
    model = CATALOGUE.get("llama-3-70b")
    estimate = estimate_cost(model, {"prompt": prompt, "max_tokens": max_tokens})
    # No tokeniser makes more tokens than bytes, and no model writes more tokens than the request permits.
    metered = RunMetrics(tokens_in=int(len(prompt.encode()) * read_share), tokens_out=int(max_tokens * written_share))

    assert 0 <= compute_cost_micros(model, {"prompt": prompt}, metered, BillableOutput()) <= estimate.max_micros
    assert estimate.expected_micros <= estimate.max_micros


def test_tokens_of_an_unmetered_run_are_estimated_from_the_text_length() -> None:
    model = CATALOGUE.get("llama-3-8b")

    assert compute_cost_micros(model, {"prompt": "a" * 40_000}, RunMetrics(), BillableOutput(text="b" * 4_000)) == 750


def test_amounts_are_formatted_as_credits() -> None:
    assert [FORMATTER.format(micros) for micros in (0, 3_000, 250, 49, 1_234_567)] == [
        "0",
        "3",
        "0.2",
        "less than 0.1",
        "1,234.6",
    ]
    assert FORMATTER.format_rounded_up(1) == "0.1"
    assert FORMATTER.format_estimate(Estimate(3_000, 3_000)) == "3 credits"
    assert FORMATTER.format_estimate(Estimate(5_850, 58_500)) == "about 5.8, at most 58.5 credits"
    assert FORMATTER.to_micros(2.5) == 2_500
