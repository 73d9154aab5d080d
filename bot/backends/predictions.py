"""Reads predictions as Cog and Replicate write them (replicate.com/docs/reference/http): outputs, metrics, progress.

Any JSON is tolerated: a field of an unexpected type counts as missing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.core.backend import PredictionState, RunMetrics, RunSnapshot
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.models import Metric, Model
from bot.core.text import mend_text

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
class CogPrediction:
    """The fields that the bot uses. A reply may lack all of them but `id`."""

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
    """The deployment of the run, as `owner/name` or the name alone."""


def parse_prediction(body: JSON) -> CogPrediction:
    """Return a prediction from a reply's body. Raise `ValueError` for a body without a usable id."""
    prediction_id = get_text(body, "id")
    if not prediction_id or not prediction_id.isascii() or not prediction_id.isprintable():
        raise ValueError("no prediction")
    fields = as_object(body)
    return CogPrediction(
        id=prediction_id,
        state=_parse_state(fields),
        model=get_text(body, "model"),
        version=get_text(body, "version"),
        input=get_object(body, "input"),
        output=fields.get("output"),
        error=_describe_error(fields.get("error")),
        logs=get_text(body, "logs"),
        metrics=get_object(body, "metrics"),
        created_at=parse_time(fields.get("created_at")),
        started_at=parse_time(fields.get("started_at")),
        completed_at=parse_time(fields.get("completed_at")),
        is_data_removed=fields.get("data_removed") is True,
        stream_url=get_text(get_object(body, "urls"), "stream"),
        deployment=get_text(body, "deployment"),
    )


def parse_time(value: JSON) -> datetime | None:
    """Return an RFC 3339 time, aware; None for any other value."""
    try:
        time = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", value)) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _parse_state(fields: dict[str, JSON]) -> PredictionState:
    return _STATES.get(get_text(fields, "status").lower()) or _guess_state(fields)


def _guess_state(fields: Mapping[str, JSON]) -> PredictionState:
    """Return the state for an unknown status. Only a time of completion proves that the run has ended."""
    if not fields.get("completed_at"):
        return PredictionState.PROCESSING if fields.get("started_at") else PredictionState.STARTING
    is_good = fields.get("output") is not None and not fields.get("error")
    return PredictionState.SUCCEEDED if is_good else PredictionState.FAILED


def _describe_error(value: JSON) -> str:
    # A model may fail with an object: the object's text is better than no reason.
    return "" if value is None else mend_text(value if isinstance(value, str) else str(value))


# The fields in which models put an answer, the likeliest first; lists of choices and messages lead to such fields.
_TEXT_KEYS = (
    *("text", "output", "answer", "caption", "transcription", "translation", "result", "results", "generated_text"),
    *("response", "content", "message", "completion", "output_text", "delta", "choices", "parts", "candidates", "data"),
)
_TEXT_KEYS_SET = frozenset(_TEXT_KEYS)
_THOUGHT_KEYS = frozenset(
    ["reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks", "thought", "thoughts"]
)
_THOUGHT_TYPES = frozenset(["reasoning", "thinking", "redacted_thinking", "thought"])
# Fields about the answer, which are no answer.
_FACT_KEYS = frozenset(
    [
        *("id", "object", "created", "model", "usage", "index", "finish_reason", "stop_reason", "role", "type", "name"),
        *("logprobs", "system_fingerprint", "metrics", "status", "refusal", "annotations", "tool_calls", "signature"),
    ]
)

_MAX_PLAUSIBLE = 1e12
# Each model chooses the names of its metrics; these other names were seen in published predictions.
_OTHER_NAMES = {
    Metric.IMAGE_OUTPUT_COUNT: "image_count",
    Metric.TOKEN_INPUT_COUNT: "input_token_count",
    Metric.TOKEN_OUTPUT_COUNT: "output_token_count",
}


def make_snapshot(prediction: CogPrediction, model: Model) -> RunSnapshot:
    """Return the run as the trunk sees runs: files where the model gives files, else text without its own prefix."""
    files = () if model.output.is_text else tuple(find_file_urls(prediction.output))
    return RunSnapshot(
        backend_id=prediction.id,
        state=prediction.state,
        files=files,
        text="" if files else strip_prefix(extract_text(prediction.output), model.strip_prefixes),
        error=prediction.error,
        logs=prediction.logs,
        metrics=parse_metrics(prediction.metrics),
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        is_data_removed=prediction.is_data_removed,
    )


def find_file_urls(output: JSON) -> Iterator[str]:
    """Yield every address in an output, in order, at any depth of lists and objects."""
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
    """Return the text of an output. Language models return a list of pieces, joined without a separator."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(extract_text(item) for item in output)
    if isinstance(output, dict):
        return _extract_text_of_object(output)
    return "" if output is None or isinstance(output, bool) else str(output)


def _extract_text_of_object(output: Mapping[str, JSON]) -> str:
    """Return the text in the field for an answer, else of every other field; thoughts are left out."""
    if output.get("type") in _THOUGHT_TYPES or output.get("thought") is True:
        return ""
    if not _TEXT_KEYS_SET.isdisjoint(output):
        return next((text for name in _TEXT_KEYS if (text := extract_text(output.get(name)))), "")
    others = {name: value for name, value in output.items() if name not in _THOUGHT_KEYS | _FACT_KEYS}
    texts = {name: text for name, value in others.items() if (text := extract_text(value))}
    return "\n".join([f"{name}: {text}" for name, text in texts.items()] if len(texts) > 1 else texts.values())


def strip_prefix(text: str, prefixes: Sequence[str]) -> str:
    """Return the text without the longest of its prefixes (BLIP begins a caption with "Caption: ")."""
    found = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(found) :]


def parse_metrics(fields: Mapping[str, JSON]) -> RunMetrics:
    """Return the metered amounts; None for an amount that is missing or no plausible number."""
    return RunMetrics(
        predict_seconds=_find_number(fields, "predict_time"),
        total_seconds=_find_number(fields, "total_time"),
        amounts={
            metric: amount
            for metric in Metric
            if metric is not Metric.PREDICT_TIME
            and (amount := _find_number(fields, metric, _OTHER_NAMES.get(metric, metric))) is not None
        },
    )


def _find_number(fields: Mapping[str, JSON], *names: str) -> float | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_PLAUSIBLE:
            return float(value)
    return None


_BAR = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*\d+/\d+")
_LINE_END = re.compile(r"[\r\n]+")
_TAIL_CHARACTERS = 8_192


def parse_percent(logs: str) -> int | None:
    """Return the percentage of the newest tqdm bar in logs, 0 to 100; None without a bar."""
    # tqdm redraws its line with \r, which Cog servers since 0.17 keep.
    lines = _LINE_END.split(logs[-_TAIL_CHARACTERS:])
    if len(logs) > _TAIL_CHARACTERS:
        lines = lines[1:]  # the first line may be cut: "100%" would read "0%"
    for line in reversed(lines):
        if bar := _BAR.match(line):
            return min(int(bar[1]), 100)
    return None
