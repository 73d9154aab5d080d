"""The body of a create call, for a prediction or a training, checked as the OpenAPI document says."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.api.body import read_json_object
from bot.sandbox.problems import InvalidField, make_invalid_input
from bot.sandbox.webhooks import WEBHOOK_EVENTS, is_allowed_url

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
    """`target` is the version of a prediction, or the destination of a training; "" where the address names it."""

    input: dict[str, Any]
    target: str
    webhook: str | None
    webhook_events_filter: tuple[str, ...] | None


async def read_create_request(request: web.Request, *, target: str = "") -> CreateRequest:
    """`target` names the key that must be there beside `input`: "version", "destination" or none.

    Raises Problem 400 for bad JSON, 422 with every fault of the body.
    """
    body = await read_json_object(request)
    required = (target, "input") if target else ("input",)
    faults = [InvalidField("required", "", f"{name} is required") for name in required if name not in body]
    faults += [fault for name, value in body.items() if (fault := _fault_of(name, value, target))]
    if faults:
        raise make_invalid_input(faults)
    events = body.get("webhook_events_filter")
    return CreateRequest(
        body["input"], body.get(target, ""), body.get("webhook"), tuple(events) if events is not None else None
    )


def _fault_of(name: str, value: Any, target: str) -> InvalidField | None:
    if name == "webhook_events_filter":
        return _fault_of_events(value)
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


def _fault_of_events(value: Any) -> InvalidField | None:
    if isinstance(value, list) and all(event in WEBHOOK_EVENTS for event in value):
        return None
    allowed = ", ".join(f'"{event}"' for event in WEBHOOK_EVENTS)
    return InvalidField(
        "enum", "webhook_events_filter", f"webhook_events_filter must be one of the following: {allowed}"
    )
