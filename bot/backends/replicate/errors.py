"""Replicate's refusals as the bot's errors, in words that a person in a chat can act on."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import httpx

from bot.backends.http import format_wait
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    InputRefused,
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
