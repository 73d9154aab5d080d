"""From Replicate's prediction to the bot's snapshot: what the model's kind makes of the output."""

import math
from collections.abc import Iterator, Mapping, Sequence

from bot.backends.replicate.schema import ReplicatePrediction
from bot.core.json import JSON
from bot.core.models import Model, OutputKind
from bot.core.predictions import RunMetrics, RunSnapshot

_TEXT_KEYS = ("text", "output", "answer", "caption", "transcription", "translation")

# Models name what they count as they like; these names were seen in published predictions.
_MAX_PLAUSIBLE = 1e12
_IMAGE_COUNT_KEYS = ("image_count", "image_output_count")
_INPUT_TOKEN_KEYS = ("input_token_count", "token_input_count")
_OUTPUT_TOKEN_KEYS = ("output_token_count", "token_output_count")


def make_snapshot(prediction: ReplicatePrediction, model: Model) -> RunSnapshot:
    """The run as the trunk sees it. Texts have the model's own prefix ("Caption: ") removed."""
    is_pictures = model.output is OutputKind.PICTURES
    return RunSnapshot(
        backend_id=prediction.id,
        state=prediction.state,
        files=tuple(find_file_urls(prediction.output)) if is_pictures else (),
        text="" if is_pictures else strip_prefix(extract_text(prediction.output), model.strip_prefixes),
        error=prediction.error,
        logs=prediction.logs,
        metrics=parse_metrics(prediction.metrics),
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        is_data_removed=prediction.is_data_removed,
    )


def find_file_urls(output: JSON) -> Iterator[str]:
    """Every address in an output, in order, however deep: a string, a list, or an object with some."""
    if isinstance(output, str):
        if output.startswith(("https:", "http:", "data:")):
            yield output
    elif isinstance(output, list):
        for item in output:
            yield from find_file_urls(item)
    elif isinstance(output, dict):
        for item in output.values():
            yield from find_file_urls(item)


def extract_text(output: JSON) -> str:
    """The words of an output. Language models give a list of pieces, to be joined with nothing between."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(extract_text(item) for item in output)
    if isinstance(output, dict):
        return next((text for name in _TEXT_KEYS if (text := extract_text(output.get(name)))), "")
    return "" if output is None or isinstance(output, bool) else str(output)


def strip_prefix(text: str, prefixes: Sequence[str]) -> str:
    """The text without the longest of these that it begins with."""
    found = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(found) :]


def parse_metrics(fields: Mapping[str, JSON]) -> RunMetrics:
    """What was metered, under whichever name; None where nothing sensible was told."""
    return RunMetrics(
        predict_seconds=_find_number(fields, "predict_time"),
        total_seconds=_find_number(fields, "total_time"),
        images=_find_count(fields, *_IMAGE_COUNT_KEYS),
        tokens_in=_find_count(fields, *_INPUT_TOKEN_KEYS),
        tokens_out=_find_count(fields, *_OUTPUT_TOKEN_KEYS),
    )


def _find_number(fields: Mapping[str, JSON], *names: str) -> float | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_PLAUSIBLE:
            return float(value)
    return None


def _find_count(fields: Mapping[str, JSON], *names: str) -> int | None:
    number = _find_number(fields, *names)
    return None if number is None else math.ceil(number)
