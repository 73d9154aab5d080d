"""Replicate's refusals as the bot's errors, in words that a person in a chat can read."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import httpx

from bot.backends.replicate.rates import CreateLimits
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    InputRefused,
    PredictionGone,
)
from bot.core.json import JSON

_PlainError: TypeAlias = BackendRefusedToken | BackendOutOfCredit | PredictionGone | InputRefused

SERVICE_DOWN = "The model service cannot be reached right now. Try again in a minute."
GONE = "The model service no longer has this."

# Replicate's own text for 402 tells the reader to buy credit. People in a chat can do nothing of the kind.
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
_DEFAULT_WAIT_SECONDS = 2.0
_RATE_IN_WORDS = re.compile(r"(\d+) requests? per (second|minute|hour)", re.IGNORECASE)
_SECONDS_IN = {"second": 1, "minute": 60, "hour": 3600}


def read_error(response: httpx.Response, *, now: datetime) -> BackendError:
    """The error that a reply without success stands for. Its body must have been read."""
    status, body = response.status_code, _parse_body(response)
    if status == 429:
        seconds = read_wait_seconds(response, now=now)
        return make_busy_error(_DEFAULT_WAIT_SECONDS if seconds is None else seconds)
    if status in _BY_STATUS:
        kind, text = _BY_STATUS[status]
        return kind(text)
    if 400 <= status < 500 and status != 408:
        return InputRefused(_describe_refusal(body))
    return BackendDown(SERVICE_DOWN)


def make_busy_error(seconds: float) -> BackendBusy:
    """Throttled for so many seconds."""
    return BackendBusy(f"The model service is busy. Try again {format_wait(seconds)}.", retry_after_seconds=seconds)


def format_wait(seconds: float) -> str:
    """ "in 15 seconds", rounded up, as the end of a sentence."""
    whole = max(1, math.ceil(seconds))
    wait = "a second" if whole == 1 else f"{whole} seconds" if whole < 120 else f"{math.ceil(whole / 60)} minutes"
    return f"in {wait}"


def read_wait_seconds(response: httpx.Response, *, now: datetime) -> float | None:
    """Seconds to wait, from the first place that tells: a header, the JSON body, or its words."""
    body = _parse_body(response)
    sentence = _WAIT_IN_WORDS.search(str(body.get("detail") or ""))
    places = (
        _parse_retry_after(response.headers.get("retry-after"), now),
        _parse_seconds(body.get("retry_after")),
        _parse_seconds(sentence[1]) if sentence else None,
        _parse_seconds(response.headers.get("ratelimit-reset")),
    )
    return next((seconds for seconds in places if seconds is not None), None)


def read_rate_limits(response: httpx.Response, *, now: datetime) -> CreateLimits:
    """What a reply to a create tells of the limit on creates. Its body must have been read."""
    is_throttled = response.status_code == 429
    words = _RATE_IN_WORDS.search(str(_parse_body(response).get("detail") or "")) if is_throttled else None
    remaining = _parse_seconds(response.headers.get("ratelimit-remaining"))
    wait = read_wait_seconds(response, now=now) if is_throttled else None
    return CreateLimits(
        remaining=None if remaining is None else int(remaining),
        reset_seconds=_parse_seconds(response.headers.get("ratelimit-reset")),
        per_second=max(1, int(words[1])) / _SECONDS_IN[words[2].lower()] if words else None,
        wait_seconds=(_DEFAULT_WAIT_SECONDS if wait is None else wait) if is_throttled else None,
    )


def _describe_refusal(body: Mapping[str, JSON]) -> str:
    fields = body.get("invalid_fields")
    reasons = (
        [_describe_field(field) for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    )
    if reasons := [reason for reason in reasons if reason]:
        return f"The model does not take this: {_shorten('; '.join(reasons))}."
    if "version" in str(body.get("title") or "").lower():
        return _NO_SUCH_VERSION
    detail = str(body.get("detail") or "").strip().removeprefix("- ")
    return f"The model does not take this: {_shorten(detail)}." if detail else _REFUSED


def _describe_field(field: Mapping[str, JSON]) -> str:
    """`input.width` and "must be …" as "width must be …". For a missing field only the description has its name."""
    words = str(field.get("description") or "").strip().rstrip(".")
    name = str(field.get("field") or "").rpartition(".")[2]
    return words if name in ("", "input") or name in words else f"{name}: {words}".rstrip(": ")


def _shorten(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _MAX_REFUSAL_CHARACTERS else line[:_MAX_REFUSAL_CHARACTERS].rstrip() + "…"


def _parse_body(response: httpx.Response) -> Mapping[str, JSON]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _parse_retry_after(value: str | None, now: datetime) -> float | None:
    seconds = _parse_seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


def _parse_seconds(value: JSON) -> float | None:
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
