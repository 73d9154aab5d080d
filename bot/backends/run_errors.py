"""Explains a run that failed: the model's error, in one sentence for the person."""

import re
from typing import TypeAlias

from bot.core.backend import PredictionState, RunSnapshot
from bot.core.errors import ModelFailed, ModelFlagged

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
        return explain_error(snapshot.error)
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


def explain_error(error: str) -> ModelFailed | ModelFlagged:
    """Return the error for the words of a model or of the server that ran the model."""
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
