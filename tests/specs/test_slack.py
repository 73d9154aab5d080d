"""The validators for Slack's methods detect violations."""

from typing import Any

import pytest

from tests.specs.slack import find_method, list_methods, parse_arguments, validate_call


def test_sixty_odd_methods_are_known() -> None:
    assert len(list_methods()) == 68


@pytest.mark.parametrize(
    ("method", "args", "fault"),
    [
        ("chat.update", {"channel": "C1", "text": "a"}, "chat.update: missing required field: ts"),
        ("chat.postMessage", {"channel": "C1", "colour": "red"}, "chat.postMessage: unknown argument colour"),
        ("chat.postMessage", {"channel": 1}, "chat.postMessage: channel must be str, is int"),
        ("chat.postMessage", {"channel": "C1", "blocks": {}}, "chat.postMessage: blocks must be list, is dict"),
        ("chat.postMessage", {"channel": "C1", "blocks": "[{"}, "chat.postMessage: blocks cannot be read: [{"),
        (
            "chat.postMessage",
            {"channel": "C1", "mrkdwn": "perhaps"},
            "chat.postMessage: mrkdwn cannot be read: perhaps",
        ),
        ("files.info", {"file": "F1", "count": "many"}, "files.info: count cannot be read: many"),
        ("chat.poem", {}, "chat.poem is no method"),
    ],
)
def test_an_invalid_call_is_reported(method: str, args: dict[str, Any], fault: str) -> None:
    assert validate_call(method, args) == [fault]


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("chat.startStream", {"channel": "C1", "recipient_team_id": "T1", "recipient_user_id": "U1"}),
        ("chat.appendStream", {"channel": "C1", "ts": "1.2", "chunks": [{"type": "markdown_text", "text": "a"}]}),
        ("chat.stopStream", {"channel": "C1", "ts": "1.2", "session_status": "active"}),
        ("chat.update", {"channel": "C1", "ts": "1.2", "file_ids": "F1,F2", "team_id": "T1"}),
        ("agents.sessions.setStatus", {"channel_id": "C1", "status": "processing"}),
        ("assistant.threads.setSuggestedPrompts", {"channel_id": "D1", "prompts": []}),
    ],
)
def test_corrections_of_the_crawl_are_accepted(method: str, args: dict[str, Any]) -> None:
    assert validate_call(method, args) == []


def test_a_forms_texts_are_parsed() -> None:
    arguments = {"channel": "C1", "blocks": "[]", "mrkdwn": "0", "text": None}

    assert parse_arguments("chat.postMessage", arguments) == {"channel": "C1", "blocks": [], "mrkdwn": False}
    assert parse_arguments("chat.update", {"file_ids": "F1,F2"}) == {"file_ids": ["F1", "F2"]}


def test_tiers_and_scopes_are_those_of_the_pages() -> None:
    tiers = {name: getattr(find_method(name), "tier", None) for name in ("chat.update", "chat.appendStream")}

    assert tiers == {"chat.update": 3, "chat.appendStream": 4}
    assert getattr(find_method("chat.update"), "scopes", None) == {"chat:write"}
