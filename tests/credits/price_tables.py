"""Random price tables, requests and meterings, and an oracle that knows what a request bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from hypothesis import strategies as st

from bot.core.backend import InputFile, RunMetrics
from bot.core.json import JSON
from bot.core.models import InputRule, Metric, Model, OutputKind, Price, PriceTier
from bot.credits.pricing import BillableOutput
from tests.credits.bench import PENCIL

QUALITIES = ("low", "high", "auto")
MEGAPIXELS = (1.0, 2.0, 4.0)
MAX_SECONDS = 6
BOUND = 5.0
"""The entry's bound for each metric that a request may leave open."""

_OPEN = (
    Metric.IMAGE_INPUT_MEGAPIXEL_COUNT,
    Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT,
    Metric.AUDIO_INPUT_MINUTE_COUNT,
    Metric.AUDIO_OUTPUT_DURATION_SECONDS,
    Metric.VIDEO_OUTPUT_DURATION_SECONDS,
)


@dataclass(frozen=True)
class PricedRun:
    """A priced model, a request, and the metering of the run."""

    model: Model
    inputs: Mapping[str, JSON | InputFile]
    metrics: RunMetrics
    output: BillableOutput
    most: Mapping[Metric, float]
    """The maximum of each metric that the request allows, by the strategy's own knowledge."""

    @property
    def is_within_bounds(self) -> bool:
        return all((self.metrics.get(metric) or 0) <= most for metric, most in self.most.items())

    def list_rates(self, metric: Metric) -> list[Fraction]:
        """Return the rates that nothing in the request contradicts; all rates if the request contradicts each."""
        tiers = [tier for tier in self.model.price.tiers if tier.metric is metric]
        possible = [tier.micros for tier in tiers if not self._is_contradicted(tier)]
        return possible or [tier.micros for tier in tiers]

    def _is_contradicted(self, tier: PriceTier) -> bool:
        for name, values in tier.when.items():
            value = self.inputs.get(name)
            if values == ("*",):
                if value is None:
                    return True
            elif value is not None and value not in values:
                return True
        return False


conditions = st.fixed_dictionaries(
    {},
    optional={
        "quality": st.lists(st.sampled_from(QUALITIES[:2]), min_size=1, max_size=2, unique=True).map(tuple),
        "resolution": st.sampled_from(MEGAPIXELS).map(lambda size: (f"{size:g} MP",)),
        "image": st.just(("*",)),
        "draft": st.booleans().map(lambda value: (value,)),
    },
)


def price_tiers(highest_rate: int) -> st.SearchStrategy[PriceTier]:
    rates = st.fractions(0, highest_rate, max_denominator=1_000_000)
    sizes = st.one_of(st.none(), st.sampled_from(MEGAPIXELS))
    return st.builds(PriceTier, st.sampled_from(Metric), rates, conditions, sizes)


@st.composite
def priced_runs(draw: st.DrawFn, highest_rate: int = 100_000, overrun: float = 1.5) -> PricedRun:
    """Return a run with a metering from nothing to `overrun` times the bounds, in which some metrics are missing."""
    price = Price(
        tuple(draw(st.lists(price_tiers(highest_rate), min_size=1, max_size=6))), bounds=dict.fromkeys(_OPEN, BOUND)
    )
    model = replace(
        PENCIL,
        price=price,
        output=OutputKind.PICTURES,
        max_seconds=MAX_SECONDS,
        usual_seconds=draw(st.floats(0, MAX_SECONDS)),
        context_tokens=8,
        inputs={
            "count": InputRule("num_outputs"),
            "max_tokens": InputRule("max_tokens"),
            "text": InputRule("words"),
        },
    )
    inputs, most = draw(requests())
    amounts: dict[Metric, float] = {}
    for metric in Metric:
        share = draw(st.one_of(st.none(), st.floats(0, overrun)))
        if share is not None:
            amounts[metric] = most[metric] * share
    seconds = amounts.pop(Metric.PREDICT_TIME, None)
    output = BillableOutput(
        files=draw(st.integers(0, int(most[Metric.IMAGE_OUTPUT_COUNT]))),
        text="w" * draw(st.integers(0, int(most[Metric.TOKEN_OUTPUT_COUNT]))),
        has_succeeded=draw(st.booleans()),
    )
    return PricedRun(model, inputs, RunMetrics(seconds, amounts=amounts), output, most)


@st.composite
def requests(draw: st.DrawFn) -> tuple[dict[str, Any], dict[Metric, float]]:
    """Return inputs, and the maximum of each metric."""
    count, tokens, prompt = draw(st.integers(1, 3)), draw(st.integers(0, 8)), draw(st.text(max_size=6))
    quality, size = draw(st.sampled_from((*QUALITIES, None))), draw(st.sampled_from((*MEGAPIXELS, None)))
    side, draft = draw(st.sampled_from((None, 0, 500, 1_500))), draw(st.sampled_from((None, True, False)))
    inputs: dict[str, Any] = {"prompt": prompt, "num_outputs": count, "max_tokens": tokens}
    options = {"quality": quality, "resolution": size and f"{size:g} MP", "draft": draft}
    inputs |= {name: value for name, value in options.items() if value is not None}
    given = 0.0
    if side is not None:
        inputs["image"] = InputFile("ab" * 32, "image/png", 10, "a.png", side, side)
        given = ceil(side * side / 1e6) or BOUND
    length = draw(st.sampled_from((None, 0, 59, 60, 61.5, 3_600)))
    if length is not None:
        inputs["audio"] = InputFile("cd" * 32, "audio/wav", 10, "a.wav", duration_seconds=length)
    duration = draw(st.sampled_from((None, 1, 4, "8s")))
    if duration is not None:
        inputs["duration"] = duration
    spoken = draw(st.one_of(st.none(), st.text(max_size=6)))
    if spoken is not None:
        inputs["words"] = spoken
    texts = [value for value in inputs.values() if isinstance(value, str)]
    seconds = float(str(duration).rstrip("s")) if duration is not None else length or BOUND
    drawn = BOUND if size is None else size * 1.048576
    return inputs, {
        Metric.RUN: 1,
        Metric.PREDICT_TIME: MAX_SECONDS,
        Metric.IMAGE_OUTPUT_COUNT: count,
        Metric.AUDIO_OUTPUT_COUNT: count,
        Metric.VIDEO_OUTPUT_COUNT: count,
        Metric.IMAGE_INPUT_MEGAPIXEL_COUNT: given,
        Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT: count * drawn,
        Metric.TOKEN_INPUT_COUNT: sum(len(text.encode()) for text in texts),
        Metric.TOKEN_OUTPUT_COUNT: tokens,
        Metric.CHARACTER_INPUT_COUNT: sum(map(len, texts)) if spoken is None else len(spoken),
        Metric.AUDIO_INPUT_MINUTE_COUNT: 0 if length is None else ceil(length / 60) or BOUND,
        Metric.AUDIO_OUTPUT_DURATION_SECONDS: seconds,
        Metric.VIDEO_OUTPUT_DURATION_SECONDS: seconds,
    }
