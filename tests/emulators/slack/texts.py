"""Text objects of Block Kit."""

from collections.abc import Iterator
from typing import Any

PLAIN_TEXT_TYPES = frozenset({"plain_text"})
TEXT_TYPES = frozenset({"plain_text", "mrkdwn"})
_TEXT_FIELDS = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}


def validate_text(text: Any, at: str, most: int, kinds: frozenset[str]) -> Iterator[str]:
    """`most` characters, at least one; of one of `kinds`."""
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"must be a text object of type {' or '.join(sorted(kinds))} [json-pointer:{at}]"
        return
    if not text["text"]:
        yield f"must be more than 0 characters [json-pointer:{at}/text]"
    if len(text["text"]) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}/text]"
    for name in text.keys() - _TEXT_FIELDS[text["type"]]:
        yield f"invalid additional property: {name} [json-pointer:{at}]"
