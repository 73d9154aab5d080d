"""Prefer and Cancel-After, as the document writes them."""

import pytest

from bot.sandbox.api.headers import parse_lifetime_seconds, parse_wait_seconds
from bot.sandbox.problems import Problem


def test_header_durations_are_read_as_the_document_says() -> None:
    assert [parse_lifetime_seconds(text) for text in ("30s", "5m", "1h30m45s", "30", None)] == [30, 300, 5445, 30, None]
    assert [parse_wait_seconds(text) for text in ("wait", "wait=1", "wait=60", None)] == [60, 1, 60, None]
    for wrong in ("4s", "soon", "", "1.5m"):
        with pytest.raises(Problem):
            parse_lifetime_seconds(wrong)
    for wrong in ("wait=0", "wait=61", "respond-async"):
        with pytest.raises(Problem):
            parse_wait_seconds(wrong)
