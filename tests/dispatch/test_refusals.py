"""Refusals are told, also when they cannot be noted."""

import pytest

from bot.core.errors import Unavailable
from bot.storage.moderation import AuditStore
from tests.bench import Bench
from tests.stumbling import fail_next_calls


async def test_a_refusal_that_cannot_be_noted_is_still_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    to_come = fail_next_calls(monkeypatch, AuditStore, "add", Unavailable("busy"))

    reply = await bench.say("/quota grant bob 5")

    assert to_come == []
    assert reply is not None
    assert reply.text == "/quota grant is for a moderator of this workspace."
