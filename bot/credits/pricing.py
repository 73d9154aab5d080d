"""Measure requests in the units of bills, price requests and runs, and format amounts in credits.

Costs are integer micro-dollars, rounded up: backends bill fractions of a micro-dollar, and the owner must not lose.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from bot.core.backend import InputFile, Inputs, InputValue, RunMetrics
from bot.core.file_types import RECORDINGS, find_kind
from bot.core.models import MegapixelSpan, Metric, Model, Price
from bot.core.money import Estimate

BYTES_PER_TOKEN = 4
"""The usual length of an English token in UTF-8. A token has at least one byte: the byte count bounds the tokens."""

USUAL_PICTURE_TOKENS = 1_500
MAX_PICTURE_TOKENS = 6_000
"""The tokens of a given picture. Claude counts width times height through 750 after shrinking, at most about 5,000."""

MEGAPIXEL = 1_000_000
DRAWN_MEGAPIXEL = 1.048576
"""A model's "1 MP" is usually 1024 × 1024 pixels, and a bill may count millions."""

_MEGAPIXEL_FIELDS = ("megapixels", "output_megapixels")
_SIZE_FIELDS = ("resolution", "size", "aspect_ratio")
_DURATION_FIELDS = ("duration", "seconds", "video_length")
_FRAME_RATE_FIELDS = ("fps", "frames_per_second")
_SIZE_PAIR = re.compile(r"(\d{2,5})\s*[x*×]\s*(\d{2,5})")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Amount:
    """The usual amount of a metric, and the maximum."""

    expected: float
    most: float


def measure_request(model: Model, inputs: Inputs, metric: Metric, usual_seconds: float | None = None) -> Amount:
    """Return the amount of a metric for a run with these inputs; `usual_seconds` is the learnt running time."""
    match metric:
        case Metric.PREDICT_TIME:
            usual = model.usual_seconds if usual_seconds is None else usual_seconds
            return Amount(min(usual, model.max_seconds), model.max_seconds)
        case Metric.TOKEN_INPUT_COUNT:
            size_bytes, pictures = sum(map(_count_bytes, _list_read_texts(model, inputs))), len(list_pictures(inputs))
            return Amount(
                size_bytes / BYTES_PER_TOKEN + pictures * USUAL_PICTURE_TOKENS,
                size_bytes + pictures * MAX_PICTURE_TOKENS,
            )
        case Metric.TOKEN_OUTPUT_COUNT:
            # Usual answers fill about half of the permitted tokens.
            most = _get_number(inputs, get_field_name(model, "max_tokens"), model.context_tokens)
            return Amount(most / 2, most)
        case Metric.CHARACTER_INPUT_COUNT:
            # Of a model that speaks, only the spoken words count, and no name of a voice or language.
            spoken = inputs.get(get_field_name(model, "text"))
            characters = sum(len(text) for text in _list_texts(inputs if spoken is None else spoken))
            return Amount(characters, characters)
        case Metric.AUDIO_INPUT_MINUTE_COUNT:
            return _measure_given_minutes(model, inputs)
        case Metric.IMAGE_INPUT_MEGAPIXEL_COUNT:
            return _measure_given_megapixels(model, inputs)
        case Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT:
            each, count = measure_megapixels(model, inputs) or _get_bound(model, metric), count_images(model, inputs)
            return Amount(each.expected * count, each.most * count)
        case Metric.VIDEO_OUTPUT_DURATION_SECONDS | Metric.AUDIO_OUTPUT_DURATION_SECONDS:
            seconds = _get_duration(inputs) or max(list_durations(inputs), default=None)
            return _get_bound(model, metric) if seconds is None else Amount(seconds, seconds)
        case Metric.RUN:
            return Amount(1, 1)
        case _:
            count = count_images(model, inputs)
            return Amount(count, count)


def measure_megapixels(model: Model, inputs: Inputs) -> Amount | None:
    """Return the size of each picture made, in millions of pixels; None where the inputs do not tell."""
    if (scale := _get_scale(model, inputs)) is not None:
        pixels = max((width * height for width, height in list_pictures(inputs)), default=0) * scale**2
        return Amount(pixels / MEGAPIXEL, pixels / MEGAPIXEL) if pixels else None
    if (sides := _get_sides(inputs)) is not None:
        megapixels = sides[0] * sides[1] / MEGAPIXEL
        return Amount(megapixels, megapixels)
    named = _get_named_megapixels(inputs)
    return None if named is None else Amount(named, named * DRAWN_MEGAPIXEL)


def count_images(model: Model, inputs: Inputs) -> int:
    """Return the number of pictures, sounds or videos that the inputs request."""
    return int(_get_number(inputs, get_field_name(model, "count"), 1))


def count_pixels(inputs: Inputs) -> int | None:
    """Return the pixels of each picture; None for a model without a size among its inputs."""
    if (sides := _get_sides(inputs)) is not None:
        return sides[0] * sides[1]
    megapixels = _get_named_megapixels(inputs)
    return None if megapixels is None else int(megapixels * MEGAPIXEL)


def list_pictures(inputs: Inputs) -> list[tuple[int, int]]:
    """Return width and height of each given picture, at any depth of lists, also of the stored form of a file.

    The size is 0 × 0 where unknown.
    """
    return [size for value in inputs.values() for size in _list_sizes(value)]


def list_durations(inputs: Inputs) -> list[float]:
    """Return the length in seconds of each given sound or video with a known length."""
    return [seconds for value in inputs.values() for seconds in _list_durations(value) if seconds]


def get_field_name(model: Model, option: str) -> str:
    """Return the model's field of a command's option; empty without one."""
    rule = model.inputs.get(option)
    return rule.name if rule is not None else model.price_fields.get(option, "")


def _measure_given_megapixels(model: Model, inputs: Inputs) -> Amount:
    """Sum the given pictures; each started megapixel of a picture may be billed."""
    bound = model.price.bounds.get(Metric.IMAGE_INPUT_MEGAPIXEL_COUNT, 0)
    exact = [width * height / MEGAPIXEL or bound for width, height in list_pictures(inputs)]
    return Amount(sum(exact), sum(ceil(megapixels) for megapixels in exact))


def _measure_given_minutes(model: Model, inputs: Inputs) -> Amount:
    """Count the started minutes of the given recordings; the bound counts for a recording of unknown length."""
    bound = model.price.bounds.get(Metric.AUDIO_INPUT_MINUTE_COUNT, 0)
    lengths = [seconds for value in inputs.values() for seconds in _list_durations(value)]
    minutes = sum(ceil(seconds / 60) or bound for seconds in lengths)
    return Amount(minutes, minutes)


def _get_bound(model: Model, metric: Metric) -> Amount:
    bound = model.price.bounds.get(metric, 0)
    return Amount(bound, bound)


def _get_sides(inputs: Inputs) -> tuple[int, int] | None:
    """Return width and height in pixels, from two fields or from one text such as `1536x2048`."""
    width, height = inputs.get("width"), inputs.get("height")
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    for name in _SIZE_FIELDS:
        value = inputs.get(name)
        if isinstance(value, str) and (pair := _SIZE_PAIR.fullmatch(value.strip())):
            return int(pair[1]), int(pair[2])
    return None


def _get_named_megapixels(inputs: Inputs) -> float | None:
    """Return the size that a text names: `0.25` among megapixels, `4 MP`, or `2K` for 2048 × 2048."""
    for name in _MEGAPIXEL_FIELDS:
        value = inputs.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return float(value)
    for name in _SIZE_FIELDS:
        value = inputs.get(name)
        text = value.strip().upper() if isinstance(value, str) else ""
        if text.endswith("MP") and _NUMBER.fullmatch(text[:-2].strip()):
            return float(text[:-2])
        if text.endswith("K") and _NUMBER.fullmatch(text[:-1]):
            return float(text[:-1]) ** 2 * DRAWN_MEGAPIXEL
    return None


def _get_scale(model: Model, inputs: Inputs) -> float | None:
    """Return the factor of an upscale, from the field of the option `scale`: a number, or a text such as `2x`."""
    rule = model.inputs.get("scale")
    if rule is None and not get_field_name(model, "scale"):
        return None
    expanded = {name for fields in rule.expands.values() for name in fields} if rule is not None else set()
    names = expanded or {get_field_name(model, "scale")}
    for name in names:
        number = _parse_number(inputs.get(name))
        if number is not None:
            return number
    return None


def _get_duration(inputs: Inputs) -> float | None:
    """Return the seconds of a video or sound, from a duration or from frames and frame rate."""
    for name in _DURATION_FIELDS:
        if (seconds := _parse_number(inputs.get(name))) is not None:
            return seconds
    frames = _parse_number(inputs.get("num_frames"))
    rate = next((rate for name in _FRAME_RATE_FIELDS if (rate := _parse_number(inputs.get(name)))), None)
    return frames / rate if frames is not None and rate else None


def _get_number(inputs: Inputs, name: str, otherwise: float) -> float:
    number = _parse_number(inputs.get(name))
    return otherwise if number is None else number


def _parse_number(value: InputValue) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if value >= 0 else None  # some models take -1 for "as you like"
    found = _NUMBER.match(value) if isinstance(value, str) else None
    return float(found[0]) if found else None


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _list_read_texts(model: Model, inputs: Inputs) -> list[str]:
    """Return every text that a language model reads, in no order."""
    field = get_field_name(model, "tools")
    if field not in inputs:
        return _list_texts(inputs)
    # Templates write the offered tools as JSON: the names of fields and the marks between them are billed too.
    rest = {name: value for name, value in inputs.items() if name != field}
    return [*_list_texts(rest), json.dumps(inputs[field])]


def _list_texts(value: object) -> list[str]:
    """Return every text at any depth, in no order, except of files."""
    # A loop, since a conversation has hundreds of messages and is measured four times for each answer.
    found: list[str] = []
    pending = [value]
    while pending:
        inner = pending.pop()
        if isinstance(inner, str):
            found.append(inner)
        elif isinstance(inner, list | tuple):
            pending += inner
        elif isinstance(inner, Mapping) and not _is_stored_file(inner):
            pending += inner.values()
    return found


def _list_sizes(value: object) -> Iterator[tuple[int, int]]:
    if isinstance(value, InputFile):
        if find_kind(value.mime) not in RECORDINGS:
            yield value.width_pixels, value.height_pixels
    elif isinstance(value, Mapping) and _is_stored_file(value) and find_kind(str(value["mime"])) not in RECORDINGS:
        # Jobs that were stored before sizes were kept have none.
        width, height = value.get("width", 0), value.get("height", 0)
        yield (int(width), int(height)) if isinstance(width, int) and isinstance(height, int) else (0, 0)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _list_sizes(inner)


def _list_durations(value: object) -> Iterator[float]:
    if isinstance(value, InputFile):
        yield value.duration_seconds
    elif isinstance(value, Mapping) and _is_stored_file(value):
        seconds = value.get("seconds", 0)
        yield float(seconds) if isinstance(seconds, int | float) else 0.0
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _list_durations(inner)


def _is_stored_file(value: Mapping[object, object]) -> bool:
    return "sha256" in value and "mime" in value


@dataclass(frozen=True, slots=True)
class BillableOutput:
    """The end of a run, for billing metrics that the backend did not meter."""

    files: int = 0
    text: str = ""
    has_started: bool = True
    has_succeeded: bool = True
    seconds: float | None = None
    """The running time by the backend's timestamps."""


def estimate_cost(model: Model, inputs: Inputs, usual_seconds: float | None = None) -> Estimate:
    """Return the usual cost of a run with these inputs, and the maximum cost, which is held."""
    expected, most = Fraction(0), Fraction(0)
    size = measure_megapixels(model, inputs)
    # A smaller picture than requested may cost more, in a table of odd prices.
    usual_span, widest_span = (None, None) if size is None else ((size.expected, size.expected), (0.0, size.most))
    for metric in model.price.metrics:
        amount = measure_request(model, inputs, metric, usual_seconds)
        expected += _get_exact(amount.expected) * model.price.find_rate(metric, inputs, usual_span)
        most += _get_exact(amount.most) * model.price.find_rate(metric, inputs, widest_span)
    return Estimate(min(ceil(expected), ceil(most)), ceil(most))


def compute_cost_micros(model: Model, inputs: Inputs, metrics: RunMetrics, output: BillableOutput) -> int:
    """Return the owner's real cost of a run: the metered amounts, and what was not metered by the request's formula."""
    cost = Fraction(0)
    span = _get_run_span(model, inputs, metrics, output)
    for metric in model.price.metrics:
        metered = metrics.get(metric)
        amount = _measure_unmetered(model, inputs, metric, output) if metered is None else metered
        if amount:
            cost += _get_exact(amount) * model.price.find_rate(metric, inputs, span)
    return ceil(cost)


def _measure_unmetered(model: Model, inputs: Inputs, metric: Metric, output: BillableOutput) -> float:
    """Return the amount of a metric without metering. A run that succeeded is never free; an unstarted run is."""
    if not output.has_started:
        return 0
    requested = measure_request(model, inputs, metric).expected
    match metric:
        case Metric.PREDICT_TIME:
            return output.seconds if output.seconds is not None else requested if output.has_succeeded else 0
        case Metric.TOKEN_INPUT_COUNT:
            return ceil(requested)
        case Metric.TOKEN_OUTPUT_COUNT:
            return ceil(len(output.text.encode()) / BYTES_PER_TOKEN)
        case (
            Metric.RUN
            | Metric.CHARACTER_INPUT_COUNT
            | Metric.IMAGE_INPUT_MEGAPIXEL_COUNT
            | Metric.AUDIO_INPUT_MINUTE_COUNT
        ):
            return requested
        case _:
            share = output.files / count_images(model, inputs) if output.files else 1
            return requested * share if output.has_succeeded or output.files else 0


def _get_run_span(model: Model, inputs: Inputs, metrics: RunMetrics, output: BillableOutput) -> MegapixelSpan | None:
    """Return the size of each picture of a run, in millions of pixels, as metered or else as requested."""
    metered = metrics.get(Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT)
    if metered is not None:
        megapixels = metered / max(metrics.get(Metric.IMAGE_OUTPUT_COUNT) or output.files, 1)
    elif (requested := measure_megapixels(model, inputs)) is not None:
        megapixels = requested.expected
    else:
        return None
    return megapixels, megapixels


@functools.lru_cache(maxsize=1_024)
def _get_exact(amount: float) -> Fraction:
    """Return the decimal number that JSON text had: rounding up must not make 76,501 of 76,500."""
    return Fraction(repr(amount))


_UNITS = {
    Metric.RUN: "a run",
    Metric.PREDICT_TIME: "a second",
    Metric.IMAGE_OUTPUT_COUNT: "a picture",
    Metric.IMAGE_INPUT_MEGAPIXEL_COUNT: "a megapixel given",
    Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT: "a megapixel drawn",
    Metric.TOKEN_INPUT_COUNT: "a million tokens read",
    Metric.TOKEN_OUTPUT_COUNT: "a million tokens written",
    Metric.CHARACTER_INPUT_COUNT: "a million characters",
    Metric.AUDIO_INPUT_MINUTE_COUNT: "a started minute",
    Metric.AUDIO_OUTPUT_COUNT: "a sound",
    Metric.AUDIO_OUTPUT_DURATION_SECONDS: "a second of sound",
    Metric.VIDEO_OUTPUT_COUNT: "a video",
    Metric.VIDEO_OUTPUT_DURATION_SECONDS: "a second of video",
}


def format_price(price: Price, format_amount: Callable[[Fraction], str]) -> str:
    """Return a price by its metrics: "$0.003 a picture", "$0.012 to $0.128 a picture", "$0.015 a run + …"."""
    if not price.is_known:
        return "price unknown"
    parts = []
    for metric in price.metrics:
        factor = 1_000_000 if "million" in _UNITS[metric] else 1
        rates = sorted(tier.micros * factor for tier in price.list_tiers(metric))
        amounts = dict.fromkeys([format_amount(rates[0]), format_amount(rates[-1])])
        parts.append(f"{' to '.join(amounts)} {_UNITS[metric]}")
    return " + ".join(parts) if any(tier.micros for tier in price.tiers) else "free"


def _add_unit(number: str) -> str:
    return "1 credit" if number == "1" else f"{number} credits"


@dataclass(frozen=True, slots=True)
class CreditFormatter:
    """Formats amounts in credits for users. `micros_per_credit` is the setting `CREDIT_USD` in micros."""

    micros_per_credit: int = 1_000

    def format(self, micros: float | Fraction) -> str:
        """Return an amount in credits with at most one decimal: "3", "0.4", "less than 0.1"."""
        tenths = round(micros * 10 / self.micros_per_credit)
        if tenths == 0 and micros > 0:
            return "less than 0.1"
        return f"{tenths / 10:,.1f}".removesuffix(".0")

    def format_amount(self, micros: float | Fraction) -> str:
        """Return an amount with the unit: "1 credit", "3 credits", "less than 0.1 credits"."""
        return _add_unit(self.format(micros))

    def format_rounded_up(self, micros: int) -> str:
        """Return an amount with the unit, rounded up: for missing credits, where a rounded down one would not do."""
        return _add_unit(f"{ceil(micros * 10 / self.micros_per_credit) / 10:,.1f}".removesuffix(".0"))

    def to_micros(self, amount_credits: float) -> int:
        """Return the micros of an amount in credits, as a user types amounts."""
        return round(amount_credits * self.micros_per_credit)

    def format_estimate(self, estimate: Estimate) -> str:
        """Return the price before the run: "3 credits", or "about 5, at most 59 credits"."""
        expected = self.format(estimate.expected_micros)
        most = self.format_amount(estimate.max_micros)
        return most if expected == self.format(estimate.max_micros) else f"about {expected}, at most {most}"
