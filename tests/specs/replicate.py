"""Validates requests and responses against Replicate's OpenAPI document.

    violations = validate_request("POST", "/v1/predictions", headers=request.headers, body=request.content)
    violations = validate_response("GET", "/v1/account", 200, content_type="application/json", body=response.content)

Both return sentences, empty for valid input. Bodies are raw bytes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema

_DOCUMENT = Path(__file__).with_name("replicate-openapi.json")
_PAGING = {"cursor"}  # accepted by all lists; the document shows the cursor only in `next` URLs
_METHODS = {"get", "post", "patch", "delete", "query"}
_FORMATS = jsonschema.FormatChecker(formats=())


@dataclass(frozen=True)
class ReplicateOperation:
    """An operation: a method of a path. `template` is the path without /v1, with names in braces."""

    method: str
    template: str
    definition: Mapping[str, Any]

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.template)
        return self.method == method.lower() and re.fullmatch(pattern, path) is not None


def list_operations() -> tuple[ReplicateOperation, ...]:
    """Return all operations of the document."""
    paths = _load_document()["paths"]
    return tuple(
        ReplicateOperation(method.removeprefix("x-"), template, definition)
        for template, methods in paths.items()
        for method, definition in methods.items()
        if method.removeprefix("x-") in _METHODS
    )


def find_operation(method: str, path: str) -> ReplicateOperation | None:
    """Return the operation of a path without query, with or without /v1."""
    path = path.removeprefix("/v1")
    return next((operation for operation in list_operations() if operation.matches(method, path)), None)


def validate_request(
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> list[str]:
    """Return the violations of a request. Form bodies are checked by content type only."""
    operation = find_operation(method, path)
    if operation is None:
        return [f"{method} {path} is no operation"]
    lower_headers = {name.lower(): value for name, value in (headers or {}).items()}
    violations = [
        *_validate_parameter(operation, query or {}, lower_headers),
        *_validate_body(operation, lower_headers, body),
    ]
    return [f"{method} {path}: {violation}" for violation in violations]


def validate_response(method: str, path: str, status: int, *, content_type: str, body: bytes) -> list[str]:
    """Return the violations of a response. An undocumented error response must be a problem with a detail."""
    operation = find_operation(method, path)
    if operation is None:
        return [] if status in (404, 405) else [f"{method} {path} is no operation, yet answered {status}"]
    response = operation.definition["responses"].get(str(status))
    if response is None:
        violations = _validate_problem(status, content_type, body)
    elif content := response.get("content"):
        violations = _validate_content(content, content_type, body)
    elif status >= 400:
        violations = _validate_problem(status, content_type, body) if body else []
    else:
        violations = [f"a body where {status} has none"] if body else []
    return [f"{method} {path} → {status}: {violation}" for violation in violations]


def validate_schema(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Return the violations of a value against a schema of the document."""
    whole = {**schema, "components": _load_document()["components"]}
    errors = jsonschema.Draft202012Validator(whole, format_checker=_FORMATS).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in errors]


def _validate_parameter(
    operation: ReplicateOperation, query: Mapping[str, str], headers: Mapping[str, str]
) -> Iterator[str]:
    known = [_resolve_reference(parameter) for parameter in operation.definition.get("parameters", ())]
    names = {parameter["name"] for parameter in known if parameter["in"] == "query"}
    yield from (f"unknown query parameter {name}" for name in query if name not in names | _PAGING)
    for parameter in known:
        given = query if parameter["in"] == "query" else headers if parameter["in"] == "header" else {}
        name = parameter["name"] if parameter["in"] == "query" else parameter["name"].lower()
        if name in given:
            value = _parse_query_value(given[name], parameter["schema"])
            yield from (f"{name}{violation[1:]}" for violation in validate_schema(parameter["schema"], value))


def _validate_body(operation: ReplicateOperation, headers: Mapping[str, str], body: bytes) -> list[str]:
    content = operation.definition.get("requestBody", {}).get("content")
    if not content:
        return ["a body where none is taken"] if body else []
    return _validate_content(content, headers.get("content-type", ""), body)


def _validate_content(content: Mapping[str, Any], content_type: str, body: bytes) -> list[str]:
    kind = content_type.partition(";")[0].strip()
    (response, definition), *_ = content.items()
    if response == "application/json" and kind.endswith("json"):
        return _validate_json(definition["schema"], body)
    return (
        []
        if kind in content or response not in ("application/json", "multipart/form-data")
        else [f"is {kind or 'bare'}"]
    )


def _validate_json(schema: Mapping[str, Any], body: bytes) -> list[str]:
    try:
        value = json.loads(body)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return validate_schema(schema, value)


def _validate_problem(status: int, content_type: str, body: bytes) -> list[str]:
    if status < 400:
        return ["a status that the document does not show"]
    if content_type.partition(";")[0] != "application/problem+json":
        return [f"a refusal as {content_type}"]
    problem = json.loads(body)
    violations = [] if isinstance(problem.get("detail"), str) else ["a problem without a detail"]
    return violations + ([f"says {problem['status']}"] if problem.get("status", status) != status else [])


def _parse_query_value(text: str, schema: Mapping[str, Any]) -> Any:
    return int(text) if schema.get("type") == "integer" and text.lstrip("-").isdigit() else text


def _resolve_reference(parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = parameter.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = _load_document()["components"]["parameters"][reference] if reference else parameter
    return found


@cache
def _load_document() -> dict[str, Any]:
    document = json.loads(_DOCUMENT.read_text())
    return _normalize_schema(document)  # type: ignore[no-any-return] # plain JSON data


def _normalize_schema(node: Any) -> Any:
    """Rewrite `nullable` for JSON Schema, and the overlapping `oneOf` (a version is a string or "hidden") as anyOf."""
    if isinstance(node, list):
        return [_normalize_schema(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    result = {"anyOf" if name == "oneOf" else name: _normalize_schema(value) for name, value in node.items()}
    if result.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


_FORMATS.checks("date-time", raises=ValueError)(_is_date_time)
_FORMATS.checks("uri")(_is_uri)
