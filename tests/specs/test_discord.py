"""The validators for Discord's document detect violations."""

from typing import Any

import pytest

from tests.specs.discord import find_operation, list_operations, validate_request, validate_response

MESSAGES = "/channels/1/messages"
COMMANDS = "/applications/1/commands"
CALLBACK = "/interactions/1/token/callback"


def test_each_operation_finds_itself() -> None:
    assert len(list_operations()) > 200
    for operation in list_operations():
        path = operation.template.replace("{", "").replace("}", "")

        assert find_operation(operation.method, path) == operation


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("PATCH", "/webhooks/1/token/messages/@original", "update_original_webhook_message"),
        ("PATCH", "/webhooks/1/token/messages/2", "update_webhook_message"),
        ("GET", "/users/@me", "get_my_user"),
    ],
)
def test_a_literal_segment_wins(method: str, path: str, name: str) -> None:
    operation = find_operation(method, path)

    assert operation
    assert operation.name == name


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("POST", MESSAGES, {"content": "a" * 4001}, "content: 4001 characters, at most 4000 allowed"),
        ("POST", MESSAGES, {"content": 5}, "content: 5 is no string or null"),
        ("POST", MESSAGES, None, "the body: no body where one is needed"),
        ("POST", MESSAGES, {"nonce": "a" * 26}, "nonce: 26 characters, at most 25 allowed"),
        (
            "POST",
            MESSAGES,
            {"components": [{"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "a" * 101}]}]},
            "components.0.components.0.custom_id: 101 characters, at most 100 allowed",
        ),
        ("POST", MESSAGES, {"components": [{"type": 12}]}, "components.0.items: this is required"),
        ("PUT", COMMANDS, [{"name": "fox", "description": "a" * 101}], "0.description: 101 characters"),
        ("PUT", COMMANDS, [{"name": "fox", "contexts": [0, 0]}], "0.contexts: an entry appears twice"),
        ("POST", CALLBACK, {"type": 9, "data": {"title": "a" * 46}}, "data.title: 46 characters, at most 45 allowed"),
        ("POST", CALLBACK, {"type": 8, "data": {"choices": [{"name": "a"}] * 26}}, "26 entries, at most 25 allowed"),
        ("GET", "/users/@me", {}, "a body where none is taken"),
        ("GET", "/users/@you/there", None, "is no operation"),
    ],
)
def test_an_invalid_request_is_reported(method: str, path: str, body: Any, fault: str) -> None:
    violations = validate_request(method, path, body=body)

    assert any(fault in str(found) for found in violations), [str(found) for found in violations]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", MESSAGES, {"content": "hello", "tts": False, "message_reference": {"message_id": 5}}),
        ("POST", MESSAGES, {"content": "hello", "message_reference": {"message_id": "5"}}),
        ("PUT", COMMANDS, [{"name": "fox", "description": "A fox", "default_member_permissions": "32"}]),
        ("POST", CALLBACK, {"type": 5, "data": {"flags": 64}}),
    ],
)
def test_a_valid_request_passes(method: str, path: str, body: Any) -> None:
    assert validate_request(method, path, body=body) == []


def test_queries_and_content_types_are_checked() -> None:
    assert validate_request("GET", MESSAGES, query={"limit": "101"})
    assert validate_request("GET", MESSAGES, query={"colour": "red"})
    assert not validate_request("GET", MESSAGES, query={"limit": "50"})
    assert validate_request("POST", MESSAGES, body={"content": "hello"}, content_type="text/plain")
    assert not validate_request("POST", MESSAGES, body={"content": "hello"}, content_type="multipart/form-data")


def test_an_invalid_response_is_reported() -> None:
    assert validate_response("GET", "/gateway", 200, body={"link": "wss://here"})
    assert validate_response("GET", "/gateway", 200)
    assert validate_response("GET", "/gateway", 302, body={})
    assert validate_response("GET", "/gateway", 404, body={"reason": "none"})
    assert not validate_response("GET", "/gateway", 404, body={"message": "none", "code": 0})
    assert not validate_response("GET", "/gateway", 200, body={"url": "wss://here"})
