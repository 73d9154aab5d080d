"""Any price table, request and metering: the cost is never below the metered amounts, nor above the hold within bounds.

`test_ledger_machine.py` holds and settles such costs in the ledger.
"""

from fractions import Fraction
from math import ceil

from hypothesis import given

from bot.core.models import Metric
from bot.credits.pricing import compute_cost_micros, estimate_cost
from tests.credits.price_tables import PricedRun, priced_runs


@given(priced_runs(overrun=1.0))
def test_a_run_within_its_bounds_never_costs_more_than_the_hold(run: PricedRun) -> None:
    assert run.is_within_bounds
    estimate = estimate_cost(run.model, run.inputs)

    assert compute_cost_micros(run.model, run.inputs, run.metrics, run.output) <= estimate.max_micros
    assert 0 <= estimate.expected_micros <= estimate.max_micros


@given(priced_runs(overrun=3.0))
def test_a_run_never_costs_less_than_the_backend_metered(run: PricedRun) -> None:
    cost_micros = compute_cost_micros(run.model, run.inputs, run.metrics, run.output)

    metered = {metric: Fraction(repr(run.metrics.get(metric) or 0.0)) for metric in run.model.price.metrics}
    assert cost_micros >= ceil(sum(min(run.list_rates(metric)) * amount for metric, amount in metered.items()))
    # A metering that is complete is all that counts: the formula adds nothing.
    if all(run.metrics.get(metric) is not None for metric in run.model.price.metrics):
        assert cost_micros <= ceil(sum(_dearest(run, metric) * amount for metric, amount in metered.items()))


def _dearest(run: PricedRun, metric: Metric) -> Fraction:
    return max(tier.micros for tier in run.model.price.tiers if tier.metric is metric)


@given(priced_runs())
def test_an_unmetered_success_is_free_only_if_the_request_is(run: PricedRun) -> None:
    counted = [metric for metric in run.model.price.metrics if run.metrics.get(metric) is None and metric in _PER_RUN]
    rates = [rate for metric in counted for rate in run.list_rates(metric)]
    if run.output.has_succeeded and rates and min(rates) > 0:
        assert compute_cost_micros(run.model, run.inputs, run.metrics, run.output) > 0


_PER_RUN = (
    *(Metric.RUN, Metric.IMAGE_OUTPUT_COUNT, Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT, Metric.AUDIO_OUTPUT_COUNT),
    *(Metric.VIDEO_OUTPUT_COUNT, Metric.VIDEO_OUTPUT_DURATION_SECONDS, Metric.AUDIO_OUTPUT_DURATION_SECONDS),
)
