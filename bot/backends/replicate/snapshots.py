"""From Replicate's prediction to the bot's snapshot: what the model's kind makes of the output."""

import math
from collections.abc import Iterator, Mapping, Sequence

from bot.backends.replicate.schema import Prediction
from bot.core.json import JSON
from bot.core.models import Model, OutputKind
from bot.core.predictions import Metrics, Snapshot

_WHERE_OBJECTS_KEEP_TEXT = ("text", "output", "answer", "caption", "transcription", "translation")

# Models name what they count as they like; these names were seen in published predictions.
_SENSELESS = 1e12
_IMAGES = ("image_count", "image_output_count")
_TOKENS_IN = ("input_token_count", "token_input_count")
_TOKENS_OUT = ("output_token_count", "token_output_count")


def snapshot_from(prediction: Prediction, model: Model) -> Snapshot:
    """The run as the trunk sees it. Texts have the model's own prefix ("Caption: ") removed."""
    is_pictures = model.output is OutputKind.PICTURES
    return Snapshot(
        backend_id=prediction.id,
        state=prediction.state,
        files=tuple(files_in(prediction.output)) if is_pictures else (),
        text="" if is_pictures else without_prefix(text_in(prediction.output), model.strip_prefixes),
        error=prediction.error,
        logs=prediction.logs,
        metrics=metrics_from(prediction.metrics),
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        is_data_removed=prediction.is_data_removed,
    )


def files_in(output: JSON) -> Iterator[str]:
    """Every address in an output, in order, however deep: a string, a list, or an object with some."""
    if isinstance(output, str):
        if output.startswith(("https:", "http:", "data:")):
            yield output
    elif isinstance(output, list):
        for item in output:
            yield from files_in(item)
    elif isinstance(output, dict):
        for item in output.values():
            yield from files_in(item)


def text_in(output: JSON) -> str:
    """The words of an output. Language models give a list of pieces, to be joined with nothing between."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(text_in(item) for item in output)
    if isinstance(output, dict):
        return next((text for name in _WHERE_OBJECTS_KEEP_TEXT if (text := text_in(output.get(name)))), "")
    return "" if output is None or isinstance(output, bool) else str(output)


def without_prefix(text: str, prefixes: Sequence[str]) -> str:
    """The text without the longest of these that it begins with."""
    found = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(found) :]


def metrics_from(told: Mapping[str, JSON]) -> Metrics:
    """What was metered, under whichever name; None where nothing sensible was told."""
    return Metrics(
        predict_seconds=_number(told, "predict_time"),
        total_seconds=_number(told, "total_time"),
        images=_count(told, *_IMAGES),
        tokens_in=_count(told, *_TOKENS_IN),
        tokens_out=_count(told, *_TOKENS_OUT),
    )


def _number(told: Mapping[str, JSON], *names: str) -> float | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _SENSELESS:
            return float(value)
    return None


def _count(told: Mapping[str, JSON], *names: str) -> int | None:
    number = _number(told, *names)
    return None if number is None else math.ceil(number)
