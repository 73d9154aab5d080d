"""The validators for Replicate's document detect violations."""

import json
from typing import Any

import pytest

from tests.specs.replicate import find_operation, list_operations, validate_request, validate_response

JSON = {"Content-Type": "application/json"}


def test_the_document_has_thirty_seven_operations() -> None:
    assert len(list_operations()) == 37


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/v1/models/a/b/versions/c", "/models/{model_owner}/{model_name}/versions/{version_id}"),
        ("QUERY", "/v1/models", "/models"),
        ("POST", "/predictions/x/cancel", "/predictions/{prediction_id}/cancel"),
    ],
)
def test_a_path_finds_its_operation(method: str, path: str, template: str) -> None:
    operation = find_operation(method, path)

    assert operation
    assert operation.template == template


@pytest.mark.parametrize(
    ("method", "path", "options", "fault"),
    [
        ("POST", "/v1/predictions", {"body": {"version": "x", "input": {}, "model": "y"}}, "'model' was unexpected"),
        ("POST", "/v1/predictions", {"body": {"input": {}}}, "'version' is a required property"),
        ("POST", "/v1/predictions", {"body": {"version": "x", "input": []}}, "is not of type 'object'"),
        ("POST", "/v1/predictions/x/cancel", {"body": {}}, "a body where none is taken"),
        ("POST", "/v1/deployments", {"body": {"min_instances": 6}}, "6 is greater than the maximum of 5"),
        ("GET", "/v1/predictions", {"query": {"limit": "5"}}, "unknown query parameter limit"),
        ("GET", "/v1/predictions", {"query": {"created_after": "yesterday"}}, "'yesterday' is not a 'date-time'"),
        ("GET", "/v1/search", {"query": {"query": "x", "limit": "51"}}, "51 is greater than the maximum of 50"),
        ("GET", "/v1/predictions/x/logs", {}, "is no operation"),
    ],
)
def test_an_invalid_request_is_reported(method: str, path: str, options: dict[str, Any], fault: str) -> None:
    body = json.dumps(options["body"]).encode() if "body" in options else b""

    violations = validate_request(method, path, query=options.get("query"), headers=JSON, body=body)

    assert any(fault in found for found in violations), violations


def test_headers_and_content_types_are_checked() -> None:
    body = b'{"version": "x", "input": {}}'

    assert validate_request("POST", "/v1/predictions", headers=JSON | {"prefer": "wait=0"}, body=body)
    assert validate_request("POST", "/v1/predictions", headers={"Content-Type": "text/plain"}, body=body)
    assert not validate_request("POST", "/v1/predictions", headers=JSON | {"prefer": "wait=5"}, body=body)
    assert not validate_request("QUERY", "/v1/models", headers={"Content-Type": "text/plain"}, body=b"fox")


@pytest.mark.parametrize(
    ("status", "content_type", "body", "fault"),
    [
        (200, "application/json", b'{"type": "robot"}', "'robot' is not one of"),
        (200, "text/plain", b"hello", "is text/plain"),
        (200, "application/json", b"{", "no JSON"),
        (204, "application/json", b"", "does not show"),
        (500, "text/html", b"oh", "a refusal as text/html"),
        (429, "application/problem+json", b'{"title": "no"}', "without a detail"),
    ],
)
def test_an_invalid_response_is_reported(status: int, content_type: str, body: bytes, fault: str) -> None:
    (found,) = [
        found
        for found in validate_response("GET", "/v1/account", status, content_type=content_type, body=body)
        if fault in found
    ]

    assert found.startswith(f"GET /v1/account → {status}: ")
