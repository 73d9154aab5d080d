"""A prediction as Replicate writes it (replicate.com/docs/reference/http), read so that nothing in it breaks us."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.core.json import JSON
from bot.core.predictions import PredictionState

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
