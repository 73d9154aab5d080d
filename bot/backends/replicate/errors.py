"""Replicate's refusals and failed runs as the bot's errors, in words that a person in a chat can act on."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import httpx

from bot.core.backend import PredictionState, RunSnapshot
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    InputRefused,
    ModelFailed,
    ModelFlagged,
    PredictionGone,
)
from bot.core.json import JSON, as_object, get_objects, get_text

_PlainError: TypeAlias = BackendRefusedToken | BackendOutOfCredit | PredictionGone | InputRefused

SERVICE_DOWN = "The model service cannot be reached right now. Try again in a minute."
GONE = "The model service no longer has this."

# Replicate's own text for 402 asks the reader to buy credit, which people in a chat cannot do.
_OUT_OF_CREDIT = "The bot cannot pay for models right now. Its owner has to look after its account."
_REFUSED_TOKEN = "The model service does not accept the bot's token. Its owner has to set a working one."  # noqa: S105 - a sentence
_NO_SUCH_VERSION = "The model service does not offer this model, or this version of it, to the bot."
_TOO_LARGE = "The file is too large for the model service."
_REFUSED = "The model does not take these inputs."

_BY_STATUS: Mapping[int, tuple[type[_PlainError], str]] = {
    401: (BackendRefusedToken, _REFUSED_TOKEN),
    402: (BackendOutOfCredit, _OUT_OF_CREDIT),
    403: (BackendRefusedToken, _REFUSED_TOKEN),
    404: (PredictionGone, GONE),
    410: (PredictionGone, GONE),
    413: (InputRefused, _TOO_LARGE),
}

_MAX_REFUSAL_CHARACTERS = 300
_WAIT_IN_WORDS = re.compile(r"(?:resets in ~?|available in )(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
DEFAULT_WAIT_SECONDS = 2.0
_RATE_IN_WORDS = re.compile(r"(\d+) requests? per (second|minute|hour)", re.IGNORECASE)
_SECONDS_IN = {"second": 1, "minute": 60, "hour": 3600}


def read_error(response: httpx.Response, *, now: datetime) -> BackendError:
    """Return the error for a reply without success. The body must have been read."""
    status, body = response.status_code, _parse_body(response)
    if status == 429:
        seconds = read_wait_seconds(response, now=now)
        return make_busy_error(DEFAULT_WAIT_SECONDS if seconds is None else seconds)
    if status in _BY_STATUS:
        kind, text = _BY_STATUS[status]
        return kind(text)
    if 400 <= status < 500 and status != 408:
        return InputRefused(_describe_refusal(body))
    return BackendDown(SERVICE_DOWN)


def make_busy_error(seconds: float) -> BackendBusy:
    """Return the error for a service that is busy for `seconds`."""
    return BackendBusy(f"The model service is busy. Try again {format_wait(seconds)}.", retry_after_seconds=seconds)


def format_wait(seconds: float) -> str:
    """Return a wait as the end of a sentence, rounded up: "in 15 seconds"."""
    whole = max(1, math.ceil(seconds))
    wait = "a second" if whole == 1 else f"{whole} seconds" if whole < 120 else f"{math.ceil(whole / 60)} minutes"
    return f"in {wait}"


def read_wait_seconds(response: httpx.Response, *, now: datetime) -> float | None:
    """Return the seconds to wait: from `Retry-After`, the JSON body, its text, or `ratelimit-reset`, in this order."""
    body = _parse_body(response)
    sentence = _WAIT_IN_WORDS.search(str(body.get("detail") or ""))
    candidates = (
        _parse_retry_after(response.headers.get("retry-after"), now),
        parse_seconds(body.get("retry_after")),
        parse_seconds(sentence[1]) if sentence else None,
        parse_seconds(response.headers.get("ratelimit-reset")),
    )
    return next((seconds for seconds in candidates if seconds is not None), None)


def read_rate_in_words(response: httpx.Response) -> float | None:
    """Return the creates per second that the text of a 429 names, None without such a text."""
    words = _RATE_IN_WORDS.search(get_text(_parse_body(response), "detail"))
    return max(1, int(words[1])) / _SECONDS_IN[words[2].lower()] if words else None


def _describe_refusal(body: Mapping[str, JSON]) -> str:
    reasons = [_describe_field(field) for field in get_objects(dict(body), "invalid_fields")]
    if reasons := [reason for reason in reasons if reason]:
        return f"The model does not take this: {_shorten('; '.join(reasons))}."
    if "version" in str(body.get("title") or "").lower():
        return _NO_SUCH_VERSION
    detail = str(body.get("detail") or "").strip().removeprefix("- ")
    return f"The model does not take this: {_shorten(detail)}." if detail else _REFUSED


def _describe_field(field: Mapping[str, JSON]) -> str:
    """Return a reason such as "width: must be …". For a missing field only the description has the field's name."""
    words = str(field.get("description") or "").strip().rstrip(".")
    name = str(field.get("field") or "").rpartition(".")[2]
    return words if name in ("", "input") or name in words else f"{name}: {words}".rstrip(": ")


def _shorten(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _MAX_REFUSAL_CHARACTERS else line[:_MAX_REFUSAL_CHARACTERS].rstrip() + "…"


def _parse_body(response: httpx.Response) -> dict[str, JSON]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return as_object(body)


def _parse_retry_after(value: str | None, now: datetime) -> float | None:
    seconds = parse_seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


def parse_seconds(value: JSON) -> float | None:
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


# Why a run failed: replicate.com/docs/reference/error-codes.

_FailureKind: TypeAlias = type[ModelFailed] | type[ModelFlagged]

_FLAGGED = "The model refused this as sensitive. Try other words or another picture."
_NOTHING = "The model finished, but gave nothing back. Try again, or choose another model."
_NO_REASON = "The model failed without saying why. Try again, or choose another model."
_REMOVED = "The model service has deleted this run, so its result cannot be fetched any more."
_UPSTREAM = "The maker of this model cannot run it right now. Choose another model."

_STOPPED = {
    PredictionState.CANCELED: "The run was stopped before it was finished.",
    PredictionState.ABORTED: "The model did not start in time. Try again in a few minutes.",
}

# Replicate's own enum for models of its partners: cog-flux, helpers/exceptions/prediction.py
_CODE = re.compile(r"\(E(\d{3})\)")
_BY_CODE: dict[str, tuple[_FailureKind, str]] = {
    "001": (ModelFailed, _UPSTREAM),
    "002": (ModelFailed, _UPSTREAM),
    "003": (ModelFailed, "The model is in high demand right now. Try again in a minute."),
    "004": (ModelFailed, "The model is not available right now. Try again in a minute, or choose another one."),
    "005": (ModelFlagged, _FLAGGED),
}

_TRANSIENT_CODES = ("003", "004")

_SENSITIVE = re.compile(r"\bnsfw\b|flagged as|sensitive|moderation|content polic|safety (check|filter|system)", re.I)
_OUT_OF_MEMORY = re.compile(r"out of memory|\bOOM\b", re.I)
_SETUP = re.compile(r"\bset-?up\b.*\b(fail|error)|\b(fail(ed|ure)|error)\b.*\bset-?up\b|failed to (start|boot)\b", re.I)
_TOO_SLOW = re.compile(r"timed? ?out|took too long|deadline exceeded", re.I)
_BY_PATTERN: tuple[tuple[re.Pattern[str], _FailureKind, str], ...] = (
    (_SENSITIVE, ModelFlagged, _FLAGGED),
    (_OUT_OF_MEMORY, ModelFailed, "The model failed: out of memory. Try a smaller picture, or fewer at once."),
    (_SETUP, ModelFailed, "The model did not start: its maker has to mend it. Choose another model."),
    (_TOO_SLOW, ModelFailed, "The model took too long. Try again, or ask for less at once."),
)

# Wrappers around the message: "Prediction failed: Async prediction failed: ModelError: …"
_WRAPPERS = re.compile(r"^(?:(?:(?:async )?prediction failed|[a-z_.]*(?:error|exception)):\s*)+", re.I)
_MAX_FAILURE_CHARACTERS = 300


def explain_failure(snapshot: RunSnapshot) -> ModelFailed | ModelFlagged:
    """Return the error for an ended run without a usable result."""
    if snapshot.is_data_removed:
        return ModelFailed(_REMOVED)
    if snapshot.error:
        return _classify_error(snapshot.error)
    if snapshot.state in _STOPPED:
        return ModelFailed(_STOPPED[snapshot.state])
    if snapshot.state is PredictionState.SUCCEEDED:
        # Models drop flagged pictures from the list, so an empty list with a safety filter in the logs was flagged.
        return ModelFlagged(_FLAGGED) if _SENSITIVE.search(snapshot.logs) else ModelFailed(_NOTHING)
    return ModelFailed(_NO_REASON)


def is_transient(snapshot: RunSnapshot) -> bool:
    """Return whether a run failed with a code (E003, E004) that is worth another run. A flagged run never is."""
    code = _CODE.search(snapshot.error)
    return snapshot.state is PredictionState.FAILED and code is not None and code[1] in _TRANSIENT_CODES


def _classify_error(error: str) -> ModelFailed | ModelFlagged:
    code = _CODE.search(error)
    if code and code[1] in _BY_CODE:
        kind, text = _BY_CODE[code[1]]
        return kind(text)
    for words, kind, text in _BY_PATTERN:
        if words.search(error):
            return kind(text)
    reason = _summarise_error(error)
    return ModelFailed(f"The model failed: {reason}" if reason else _NO_REASON)


def _summarise_error(error: str) -> str:
    """Return one line without wrappers; of a traceback the last line."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or [""]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    words = _WRAPPERS.sub("", line).strip()
    if len(words) > _MAX_FAILURE_CHARACTERS:
        return words[:_MAX_FAILURE_CHARACTERS].rstrip() + "…"
    return words if not words or words.endswith((".", "!", "?", "…")) else words + "."
