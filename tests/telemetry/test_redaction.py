"""Redaction: texts with the shape of a secret are removed, known or not; other texts stay readable."""

import pytest

from bot.telemetry.logs import Redactor

# Split, so that secret scanners do not report the samples.
DISCORD = "M" + "T" * 23 + ".Gabcde." + "x" * 38
SLACK = "xoxb" + "-1234567890-abcdefGHIJ"
SLACK_APP = "xapp" + "-1-A0-123-abcdef0123456789"
REPLICATE = "r8_" + "AbCdEf0123456789"
SIGNING = "whsec" + "_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OPENAI = "sk" + "-proj-abcdefghijklmnop1234"
INTERACTION = "aW50ZXJhY3Rpb246" * 8


@pytest.mark.parametrize("token", [DISCORD, SLACK, SLACK_APP, REPLICATE, SIGNING, OPENAI])
@pytest.mark.parametrize("template", ["{}", "token={}", "Bearer {}", "'{}'", '{{"token": "{}"}}', "it was {}, sadly"])
def test_tokens_are_redacted_by_their_shape(token: str, template: str) -> None:
    redacted = Redactor().redact_text(template.format(token))

    assert token not in redacted
    assert token[8:] not in redacted
    assert "•••" in redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("{'authorization': 'Basic dXNlcg=='}", "{'authorization': 'Basic •••'}"),
        ("('Authorization', 'Bot abcdef')", "('Authorization', 'Bot •••')"),
        ("Authorization: my-own-scheme", "Authorization: •••"),
        ("postgresql://easel:pa55@db:5432/easel", "postgresql://easel:•••@db:5432/easel"),
        (f"PATCH /webhooks/12/{INTERACTION}/messages/@original", "PATCH /webhooks/12/•••/messages/@original"),
        (f"POST /interactions/12/{INTERACTION}/callback", "POST /interactions/12/•••/callback"),
        ("https://hooks.slack.com/commands/T1/2/abc", "https://hooks.slack.com/•••"),
        ("https://cdn.discordapp.com/a.png?ex=1&is=2&hm=3 ok", "https://cdn.discordapp.com/a.png?••• ok"),
        ("https://s3.example/a?X-Amz-Date=1&X-Amz-Signature=2", "https://s3.example/a?•••"),
        ("https://storage.example/a?GoogleAccessId=1&Signature=2", "https://storage.example/a?•••"),
    ],
)
def test_secrets_in_headers_and_urls_are_redacted(text: str, redacted: str) -> None:
    assert Redactor().redact_text(text) == redacted
    assert Redactor().redact_text(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "job.delivered job=8f3c model=flux-schnell seconds=1.5",
        "GET https://api.replicate.com/v1/predictions?created_after=2026-11-20T10:00:00Z",
        "http://127.0.0.1:8765/api/events",
        'File "bot/jobs/runner.py", line 12, in run',
        "black-forest-labs/flux-1.1-pro 39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
        "The token was refused. Basic rules apply.",
    ],
)
def test_other_texts_are_unchanged(text: str) -> None:
    assert Redactor().redact_text(text) == text


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    assert Redactor(["secret-one", "secret-one-and-two"]).redact_text("secret-one-and-two") == "•••"


def test_values_keep_their_type() -> None:
    value = {"n": 1, "ok": True, "none": None, "list": [1.5, "the-secret"], "path": ("a",)}

    redacted = Redactor(["the-secret"]).redact_value(value)

    assert redacted == {"n": 1, "ok": True, "none": None, "list": [1.5, "•••"], "path": ["a"]}
