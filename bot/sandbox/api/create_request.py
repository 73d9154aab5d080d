"""The body of a create call, checked as the OpenAPI document says: no unknown keys, the right types."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.problems import InvalidField, Problem, invalid
from bot.sandbox.webhooks import EVENTS, is_allowed

_TYPES: dict[str, tuple[type, str]] = {
    "version": (str, "string"),
    "input": (dict, "object"),
    "webhook": (str, "string"),
    "stream": (bool, "boolean"),
}


@dataclass(frozen=True)
class CreateRequest:
    input: dict[str, Any]
    version: str
    webhook: str | None
    webhook_events_filter: tuple[str, ...] | None


async def read_create_request(request: web.Request, *, with_version: bool) -> CreateRequest:
    """Raises Problem 400 for bad JSON, 422 with every fault of the body."""
    body = await _json_object(request)
    required = ("version", "input") if with_version else ("input",)
    faults = [InvalidField("required", "", f"{name} is required") for name in required if name not in body]
    faults += [fault for name, value in body.items() if (fault := _fault_of(name, value, with_version))]
    if faults:
        raise invalid(faults)
    events = body.get("webhook_events_filter")
    return CreateRequest(
        body["input"], body.get("version", ""), body.get("webhook"), tuple(events) if events is not None else None
    )


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise Problem(400, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise invalid([InvalidField("invalid_type", "", "Invalid type. Expected: object, given: another")])
    return body


def _fault_of(name: str, value: Any, with_version: bool) -> InvalidField | None:
    if name == "webhook_events_filter":
        return _fault_of_events(value)
    if name not in _TYPES or (name == "version" and not with_version):
        return InvalidField("additional_property_not_allowed", "", f"Additional property {name} is not allowed")
    expected, type_name = _TYPES[name]
    if not isinstance(value, expected):
        return InvalidField("invalid_type", name, f"Invalid type. Expected: {type_name}, given: another")
    if name == "webhook" and not is_allowed(str(value)):
        return InvalidField("format", name, "must be an HTTPS URL")
    return None


def _fault_of_events(value: Any) -> InvalidField | None:
    if isinstance(value, list) and all(event in EVENTS for event in value):
        return None
    allowed = ", ".join(f'"{event}"' for event in EVENTS)
    return InvalidField(
        "enum", "webhook_events_filter", f"webhook_events_filter must be one of the following: {allowed}"
    )
