"""A prediction as Replicate writes it (replicate.com/docs/reference/http), read so that nothing in it breaks us."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.core.backend import PredictionState, RunMetrics, RunSnapshot
from bot.core.json import JSON
from bot.core.models import Model, OutputKind

# Some replies carry nanoseconds: 2023-10-29T11:19:59.558752983Z
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")

_STATES = {
    **{state.value: state for state in PredictionState},
    "queued": PredictionState.STARTING,
    "booting": PredictionState.STARTING,
    "running": PredictionState.PROCESSING,
    "successful": PredictionState.SUCCEEDED,
    "cancelled": PredictionState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class ReplicatePrediction:
    """The fields we use. Everything but `id` may be missing in a reply."""

    id: str
    state: PredictionState
    model: str = ""
    version: str = ""
    """64 hex digits, `hidden`, or `dp-…` for models that Replicate keeps current."""
    input: Mapping[str, JSON] = field(default_factory=dict)
    output: JSON = None
    error: str = ""
    logs: str = ""
    metrics: Mapping[str, JSON] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    is_data_removed: bool = False
    stream_url: str = ""
    deployment: str = ""
    """Which deployment ran it, as `owner/name` or its name alone."""


def parse_prediction(body: JSON) -> ReplicatePrediction:
    """Read a prediction. Raises `ValueError` when the body is none at all."""
    if not isinstance(body, dict) or not isinstance(body.get("id"), str) or not body["id"]:
        raise ValueError("no prediction")
    return ReplicatePrediction(
        id=_to_text(body.get("id")),
        state=_parse_state(body),
        model=_to_text(body.get("model")),
        version=_to_text(body.get("version")),
        input=_to_object(body.get("input")),
        output=body.get("output"),
        error=_to_text(body.get("error")),
        logs=_to_text(body.get("logs")),
        metrics=_to_object(body.get("metrics")),
        created_at=parse_time(body.get("created_at")),
        started_at=parse_time(body.get("started_at")),
        completed_at=parse_time(body.get("completed_at")),
        is_data_removed=body.get("data_removed") is True,
        stream_url=_to_text(_to_object(body.get("urls")).get("stream")),
        deployment=_to_text(body.get("deployment")),
    )


def parse_time(value: JSON) -> datetime | None:
    """An RFC 3339 time, aware; None for anything else."""
    try:
        time = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", value)) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _parse_state(body: Mapping[str, JSON]) -> PredictionState:
    word = _to_text(body.get("status")).lower()
    return _STATES.get(word) or _guess_state(body)


def _guess_state(body: Mapping[str, JSON]) -> PredictionState:
    """A word we do not know: only a time of completion says that it is over."""
    if not body.get("completed_at"):
        return PredictionState.PROCESSING if body.get("started_at") else PredictionState.STARTING
    is_good = body.get("output") is not None and not body.get("error")
    return PredictionState.SUCCEEDED if is_good else PredictionState.FAILED


def _to_text(value: JSON) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _to_object(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


# MERGED From Replicate's prediction to the bot's snapshot: what the model's kind makes of the output.

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
