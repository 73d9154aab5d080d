"""Validates requests and responses against Discord's OpenAPI document.

    violations = validate_request("POST", "/channels/1/messages", body={"content": "hello"})
    violations = validate_response("GET", "/users/@me", 200, body=response.json())

Both return violations, empty for valid input. Bodies are parsed JSON; paths come without /api/v10 and without query.

The document is compiled to closures at the first use: a validation of a message takes about ten microseconds.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from tests.specs.discord_schemas import METHODS, DiscordViolation, compile_schema, load_document, resolve_reference

_JSON = "application/json"


@dataclass(frozen=True)
class DiscordOperation:
    """An operation: a method of a path. `template` is the path with names in braces."""

    method: str
    template: str
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.definition["operationId"])


def list_operations() -> tuple[DiscordOperation, ...]:
    """Return all operations of the document."""
    return tuple(
        DiscordOperation(method.upper(), template, definition)
        for template, methods in load_document()["paths"].items()
        for method, definition in methods.items()
        if method in METHODS
    )


def find_operation(method: str, path: str) -> DiscordOperation | None:
    """Return the operation of a path; literal segments (`@me`, `@original`) win over names in braces."""
    for pattern, operation in _compile_patterns()[method.upper()]:
        if pattern.fullmatch(path):
            return operation
    return None


def validate_request(
    method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, content_type: str = _JSON
) -> list[DiscordViolation]:
    """Return the violations of a request. `body` is None without a body."""
    operation = find_operation(method, path)
    if operation is None:
        return [DiscordViolation((), "NO_OPERATION", f"{method} {path} is no operation")]
    return [*_validate_query(operation, query or {}), *_validate_request_body(operation, body, content_type)]


def validate_response(method: str, path: str, status: int, *, body: Any = None) -> list[DiscordViolation]:
    """Return the violations of a response. `body` is None without a body."""
    operation = find_operation(method, path)
    if operation is None:
        return (
            [] if status in (404, 405) else [DiscordViolation((), "NO_OPERATION", f"{method} {path} is no operation")]
        )
    response = operation.definition["responses"].get(str(status))
    if response is None and status >= 400:
        response = operation.definition["responses"]["4XX"]
    if response is None:
        return [DiscordViolation((), "STATUS", f"status {status} is not one of the document's")]
    content = resolve_reference(response).get("content", {}).get(_JSON)
    if content is None or body is None:
        return (
            []
            if (content is None) == (body is None)
            else [DiscordViolation((), "BODY", f"{status} has the wrong kind of body")]
        )
    return compile_schema(json.dumps(content["schema"]))(body, ())


def _validate_query(operation: DiscordOperation, query: Mapping[str, str]) -> Iterable[DiscordViolation]:
    parameters = {
        parameter["name"]: parameter["schema"]
        for parameter in operation.definition.get("parameters", ())
        if parameter["in"] == "query"
    }
    for name, text in query.items():
        if name not in parameters:
            yield DiscordViolation((name,), "QUERY", "unknown query parameter")
        else:
            yield from compile_schema(json.dumps(parameters[name]))(_parse_query_value(text), (name,))


def _validate_request_body(operation: DiscordOperation, body: Any, content_type: str) -> list[DiscordViolation]:
    request = operation.definition.get("requestBody")
    if request is None:
        return [] if body is None else [DiscordViolation((), "BODY", "a body where none is taken")]
    if body is None:
        return [DiscordViolation((), "BODY", "no body where one is needed")] if request.get("required") else []
    content = request["content"].get(content_type)
    if content is None:
        return [DiscordViolation((), "CONTENT_TYPE", f"the content type is {content_type or 'missing'}")]
    schema = json.dumps(content["schema"])
    if isinstance(body, list):
        return list(_validate_text(schema, json.dumps(body)))
    return compile_schema(schema)(body, ())


@lru_cache(maxsize=16)
def _validate_text(schema: str, text: str) -> tuple[DiscordViolation, ...]:
    """Return the violations of a body in JSON. Each start of a bot sends the same long list of commands."""
    return tuple(compile_schema(schema)(json.loads(text), ()))


def _parse_query_value(text: str) -> Any:
    """Return a query value with the type that the parameter's schema may require."""
    return {"true": True, "false": False}.get(text.lower(), text)


# Paths.


@cache
def _compile_patterns() -> dict[str, list[tuple[re.Pattern[str], DiscordOperation]]]:
    patterns: dict[str, list[tuple[re.Pattern[str], DiscordOperation]]] = {method.upper(): [] for method in METHODS}
    for operation in sorted(list_operations(), key=lambda operation: operation.template.count("{")):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.template))
        patterns[operation.method].append((pattern, operation))
    return patterns
