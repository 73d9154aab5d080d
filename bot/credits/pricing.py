"""Estimate the cost of a prediction, compute the real cost after the run, and format amounts in credits.

Costs are integer micro-dollars, rounded up: backends bill fractions of a micro-dollar, and the owner must not lose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from bot.core.backend import InputFile, RunMetrics
from bot.core.json import JSON
from bot.core.models import Model, Price, PriceUnit
from bot.core.money import Estimate

BYTES_PER_TOKEN = 4
"""The usual length of an English token in UTF-8. A token has at least one byte: the byte count bounds the tokens."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class BillableOutput:
    """The output of a run, for billing a run without metering by the backend."""

    images: int = 0
    text: str = ""


def estimate_cost(model: Model, inputs: Mapping[str, JSON | InputFile], usual_seconds: float | None = None) -> Estimate:
    """Return the usual cost of a run with these inputs, and the maximum cost, which is held."""
    price = model.price
    if price.unit is PriceUnit.IMAGE:
        amount = price.micros_per_image * count_images(model, inputs)
        return Estimate(amount, amount)
    if price.unit is PriceUnit.SECOND:
        max_micros = ceil(price.micros_per_second * model.max_seconds)
        seconds = usual_seconds if usual_seconds is not None else model.usual_seconds
        return Estimate(min(ceil(price.micros_per_second * seconds), max_micros), max_micros)
    if price.unit is PriceUnit.TOKEN:
        return _estimate_token_cost(model, inputs)
    return Estimate(0, 0)


def _estimate_token_cost(model: Model, inputs: Mapping[str, JSON | InputFile]) -> Estimate:
    prompt_bytes = _count_text_bytes(inputs)
    max_tokens_out = int(_to_number(inputs.get(_get_field_name(model, "max_tokens")), model.context_tokens))
    # Usual answers fill about half of the permitted tokens.
    expected_micros = _compute_token_cost_micros(model.price, prompt_bytes / BYTES_PER_TOKEN, max_tokens_out / 2)
    max_micros = _compute_token_cost_micros(model.price, prompt_bytes, max_tokens_out)
    return Estimate(min(expected_micros, max_micros), max_micros)


def compute_cost_micros(model: Model, inputs: Mapping[str, JSON], metrics: RunMetrics, output: BillableOutput) -> int:
    """Return the owner's real cost of a run, from the metering, or from the output of a run without metering."""
    price = model.price
    if price.unit is PriceUnit.IMAGE:
        return price.micros_per_image * (metrics.images if metrics.images is not None else output.images)
    if price.unit is PriceUnit.SECOND:
        return ceil(price.micros_per_second * (metrics.predict_seconds or 0))
    if price.unit is PriceUnit.TOKEN:
        tokens_in = metrics.tokens_in
        if tokens_in is None:
            tokens_in = ceil(_count_text_bytes(inputs) / BYTES_PER_TOKEN)
        tokens_out = metrics.tokens_out
        if tokens_out is None:
            tokens_out = ceil(len(output.text.encode()) / BYTES_PER_TOKEN)
        return _compute_token_cost_micros(price, tokens_in, tokens_out)
    return 0


def count_images(model: Model, inputs: Mapping[str, JSON | InputFile]) -> int:
    """Return the number of pictures that the inputs request."""
    return int(_to_number(inputs.get(_get_field_name(model, "count")), 1))


def count_pixels(inputs: Mapping[str, JSON | InputFile]) -> int | None:
    """Return the pixels of each picture; None for a model without a size among its inputs."""
    width, height = inputs.get("width"), inputs.get("height")
    if isinstance(width, int) and isinstance(height, int):
        return width * height
    megapixels = inputs.get("megapixels")
    if isinstance(megapixels, str) and megapixels.replace(".", "", 1).isdecimal():
        return int(float(megapixels) * _MILLION)
    return None


def _get_field_name(model: Model, option: str) -> str:
    rule = model.inputs.get(option)
    return rule.name if rule is not None else ""


def _to_number(value: JSON | InputFile, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise


def _count_text_bytes(inputs: Mapping[str, JSON | InputFile]) -> int:
    return sum(len(value.encode()) for value in inputs.values() if isinstance(value, str))


def _compute_token_cost_micros(price: Price, tokens_in: float, tokens_out: float) -> int:
    exact = tokens_in * price.micros_per_million_tokens_in + tokens_out * price.micros_per_million_tokens_out
    return ceil(exact / _MILLION)


@dataclass(frozen=True, slots=True)
class CreditFormatter:
    """Formats amounts in credits for users. `micros_per_credit` is the setting `CREDIT_USD` in micros."""

    micros_per_credit: int = 1_000

    def format(self, micros: int) -> str:
        """Return an amount in credits with at most one decimal: "3", "0.4", "less than 0.1"."""
        tenths = round(micros * 10 / self.micros_per_credit)
        if tenths == 0 and micros > 0:
            return "less than 0.1"
        return f"{tenths / 10:,.1f}".removesuffix(".0")

    def format_rounded_up(self, micros: int) -> str:
        """Return an amount in credits, rounded up: for missing credits, where a rounded down amount would not do."""
        return f"{ceil(micros * 10 / self.micros_per_credit) / 10:,.1f}".removesuffix(".0")

    def to_micros(self, amount_credits: float) -> int:
        """Return the micros of an amount in credits, as a user types amounts."""
        return round(amount_credits * self.micros_per_credit)

    def format_estimate(self, estimate: Estimate) -> str:
        """Return the price before the run: "3 credits", or "about 5, at most 59 credits"."""
        expected, maximum = self.format(estimate.expected_micros), self.format(estimate.max_micros)
        return f"{maximum} credits" if expected == maximum else f"about {expected}, at most {maximum} credits"
