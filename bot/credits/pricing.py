"""What a prediction may cost, what it did cost, and how amounts are shown.

Amounts are integer micro-dollars, rounded up: the owner is billed in fractions, a person never in less than one micro.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from bot.core.backend import InputFile, RunMetrics
from bot.core.json import JSON
from bot.core.models import Model, Price, PriceUnit
from bot.core.money import Estimate

BYTES_PER_TOKEN = 4
"""A usual token of English in UTF-8 bytes. No token is shorter than one byte, so bytes bound tokens from above."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class BillableOutput:
    """What a run gave, for billing what the backend did not meter."""

    images: int = 0
    text: str = ""


def estimate_cost(model: Model, inputs: Mapping[str, JSON | InputFile], usual_seconds: float | None = None) -> Estimate:
    """What these inputs will cost: the usual amount, and the bound that is held."""
    price = model.price
    if price.unit is PriceUnit.IMAGE:
        amount = price.micros_per_image * count_images(model, inputs)
        return Estimate(amount, amount)
    if price.unit is PriceUnit.SECOND:
        at_most = ceil(price.micros_per_second * model.max_seconds)
        usual = usual_seconds if usual_seconds is not None else model.usual_seconds
        return Estimate(min(ceil(price.micros_per_second * usual), at_most), at_most)
    if price.unit is PriceUnit.TOKEN:
        return _tokens_estimate(model, inputs)
    return Estimate(0, 0)


def _tokens_estimate(model: Model, inputs: Mapping[str, JSON | InputFile]) -> Estimate:
    prompt_bytes = sum(len(value.encode()) for value in inputs.values() if isinstance(value, str))
    most_out = int(_number(inputs.get(_field(model, "max_tokens")), model.context_tokens))
    usual = _tokens_cost(model.price, prompt_bytes / BYTES_PER_TOKEN, most_out / 2)
    at_most = _tokens_cost(model.price, prompt_bytes, most_out)
    return Estimate(min(usual, at_most), at_most)


def compute_cost_micros(model: Model, inputs: Mapping[str, JSON], metrics: RunMetrics, output: BillableOutput) -> int:
    """What a run really cost the owner, in micros: as metered, and by what it made where nothing was metered."""
    price = model.price
    if price.unit is PriceUnit.IMAGE:
        return price.micros_per_image * (metrics.images if metrics.images is not None else output.images)
    if price.unit is PriceUnit.SECOND:
        return ceil(price.micros_per_second * (metrics.predict_seconds or 0))
    if price.unit is PriceUnit.TOKEN:
        tokens_in = metrics.tokens_in
        if tokens_in is None:
            tokens_in = ceil(sum(len(v.encode()) for v in inputs.values() if isinstance(v, str)) / BYTES_PER_TOKEN)
        tokens_out = metrics.tokens_out
        if tokens_out is None:
            tokens_out = ceil(len(output.text.encode()) / BYTES_PER_TOKEN)
        return _tokens_cost(price, tokens_in, tokens_out)
    return 0


def count_images(model: Model, inputs: Mapping[str, JSON | InputFile]) -> int:
    """How many pictures these inputs ask for."""
    return int(_number(inputs.get(_field(model, "count")), 1))


def count_pixels(inputs: Mapping[str, JSON | InputFile]) -> int | None:
    """How many pixels each picture will have; None for models whose inputs do not say."""
    width, height = inputs.get("width"), inputs.get("height")
    if isinstance(width, int) and isinstance(height, int):
        return width * height
    megapixels = inputs.get("megapixels")
    if isinstance(megapixels, str) and megapixels.replace(".", "", 1).isdecimal():
        return int(float(megapixels) * _MILLION)
    return None


def _field(model: Model, option: str) -> str:
    rule = model.inputs.get(option)
    return rule.name if rule is not None else ""


def _number(value: JSON | InputFile, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise


def _tokens_cost(price: Price, tokens_in: float, tokens_out: float) -> int:
    exact = tokens_in * price.micros_per_million_tokens_in + tokens_out * price.micros_per_million_tokens_out
    return ceil(exact / _MILLION)


@dataclass(frozen=True, slots=True)
class CreditFormatter:
    """How amounts are shown to people: `micros_per_credit` is `CREDIT_USD` in micros."""

    micros_per_credit: int = 1_000

    def format(self, micros: int) -> str:
        """An amount in credits with one decimal where needed: "3", "0.4", "less than 0.1"."""
        tenths = round(micros * 10 / self.micros_per_credit)
        if tenths == 0 and micros > 0:
            return "less than 0.1"
        return f"{tenths / 10:,.1f}".removesuffix(".0")

    def format_rounded_up(self, micros: int) -> str:
        """The same, rounded up: for what is missing."""
        return f"{ceil(micros * 10 / self.micros_per_credit) / 10:,.1f}".removesuffix(".0")

    def to_micros(self, amount_credits: float) -> int:
        """Credits as a person types them, in micros."""
        return round(amount_credits * self.micros_per_credit)

    def format_estimate(self, estimate: Estimate) -> str:
        """The price before: "3 credits", or "about 5, at most 59 credits"."""
        about, at_most = self.format(estimate.expected_micros), self.format(estimate.max_micros)
        return f"{at_most} credits" if about == at_most else f"about {about}, at most {at_most} credits"
