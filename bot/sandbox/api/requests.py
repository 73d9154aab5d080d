"""Parts of a request: the checked JSON body, the cursor of a list, and a create's `Prefer` and `Cancel-After`."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from bot.sandbox.model import InputField, check_input
from bot.sandbox.problems import InvalidField, Problem, make_invalid_input
from bot.sandbox.webhooks import WEBHOOK_EVENTS, is_allowed_url


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object; raise Problem 400 for bad JSON, 422 for another type."""
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise Problem(400, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise make_invalid_input([InvalidField("invalid_type", "", "Invalid type. Expected: object, given: another")])
    return body


async def read_checked_object(request: web.Request, fields: Sequence[InputField]) -> dict[str, Any]:
    """Return the known keys; raise 422 with all errors."""
    body = await read_json_object(request)
    if errors := check_input(fields, body, where=""):
        raise make_invalid_input(errors)
    return {field.name: body[field.name] for field in fields if field.name in body}


_WAIT = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_LONGEST_WAIT_SECONDS = 60
_SHORTEST_LIFE_SECONDS = 5


def parse_wait_seconds(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait` or `wait=1..60`; None without the header."""
    if not prefer:
        return None
    match = _WAIT.fullmatch(prefer.strip())
    if match is None:
        raise Problem(422, 'The Prefer header must be "wait" or "wait=N" with N from 1 to 60', title="Invalid header")
    return int(match[1] or _LONGEST_WAIT_SECONDS)


def parse_lifetime_seconds(cancel_after: str | None) -> int | None:
    """Return the seconds of `Cancel-After: 30s | 5m | 1h30m45s | 30`; None without the header."""
    if cancel_after is None:
        return None
    match = _DURATION.fullmatch(cancel_after.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total < _SHORTEST_LIFE_SECONDS:
        raise Problem(422, "The Cancel-After header must be a duration of at least 5 seconds", title="Invalid header")
    return total


_TYPES: dict[str, tuple[type, str]] = {
    "version": (str, "string"),
    "destination": (str, "string"),
    "input": (dict, "object"),
    "webhook": (str, "string"),
    "stream": (bool, "boolean"),
}
_TARGETS = ("version", "destination")


@dataclass(frozen=True)
class CreateRequest:
    """`target` is the version of a prediction or the destination of a training; "" if the address names the target."""

    input: dict[str, Any]
    target: str
    webhook: str | None
    webhook_events_filter: tuple[str, ...] | None


async def read_create_request(request: web.Request, *, target: str = "") -> CreateRequest:
    """`target` names the required key beside `input`: "version", "destination" or none.

    Raises Problem 400 for bad JSON, 422 with every fault of the body.
    """
    body = await read_json_object(request)
    required = (target, "input") if target else ("input",)
    faults = [InvalidField("required", "", f"{name} is required") for name in required if name not in body]
    faults += [fault for name, value in body.items() if (fault := _find_error(name, value, target))]
    if faults:
        raise make_invalid_input(faults)
    events = body.get("webhook_events_filter")
    return CreateRequest(
        body["input"], body.get(target, ""), body.get("webhook"), tuple(events) if events is not None else None
    )


def _find_error(name: str, value: Any, target: str) -> InvalidField | None:
    if name == "webhook_events_filter":
        return _find_events_error(value)
    if target == "destination" and name not in _TYPES:
        return None  # the document forbids unknown keys for predictions only
    if name not in _TYPES or (name in _TARGETS and name != target):
        return InvalidField("additional_property_not_allowed", "", f"Additional property {name} is not allowed")
    expected, type_name = _TYPES[name]
    if not isinstance(value, expected):
        return InvalidField("invalid_type", name, f"Invalid type. Expected: {type_name}, given: another")
    if name == "webhook" and not is_allowed_url(str(value)):
        return InvalidField("format", name, "must be an HTTPS URL")
    return None


def _find_events_error(value: Any) -> InvalidField | None:
    if isinstance(value, list) and all(event in WEBHOOK_EVENTS for event in value):
        return None
    allowed = ", ".join(f'"{event}"' for event in WEBHOOK_EVENTS)
    return InvalidField(
        "enum", "webhook_events_filter", f"webhook_events_filter must be one of the following: {allowed}"
    )


PAGE_SIZE = 100
T = TypeVar("T")


def paginate(
    request: web.Request, base_url: str, entries: Sequence[T], key: Callable[[T], str], show: Callable[[T], Any]
) -> web.Response:
    """Return one page of `entries` (newest first) from the request's cursor; `next` and `previous` are absolute.

    A cursor stays valid while new entries arrive.
    """
    keys = [key(entry) for entry in entries]
    start = _find_start(request.query.get("cursor"), keys)
    end = start + PAGE_SIZE
    url = request.rel_url.without_query_params("cursor")

    def link(position: int) -> str:
        cursor = base64.urlsafe_b64encode(keys[position].encode()).decode().rstrip("=")
        return base_url + str(url.update_query(cursor=cursor))

    body = {
        "next": link(end) if end < len(entries) else None,
        "previous": link(max(0, start - PAGE_SIZE)) if start > 0 else None,
        "results": [show(entry) for entry in entries[start:end]],
    }
    return web.json_response(body)


def _find_start(cursor: str | None, keys: Sequence[str]) -> int:
    """Return the position of the cursor's entry, the first of the page."""
    if not cursor:
        return 0
    try:
        return keys.index(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem(400, "Invalid cursor") from error
