"""Watches in which threads texts are split, for tests of replies that nobody streams."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from bot.commands.quota.people import Usage
from bot.core.limits import MAX_SPLIT_ON_LOOP_CHARACTERS
from bot.core.replies import Reply
from bot.streaming.splitter import Splitter

LONG_TEXT = "word " * (MAX_SPLIT_ON_LOOP_CHARACTERS // 5 + 200) + "the end"


def answer_usage_at_length(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let /usage give a long private answer; return a list of whether each long split ran on the event loop."""
    on_loop: list[bool] = []
    update: Callable[..., Any] = Splitter.update

    def note_thread(self: Splitter, text: str) -> Any:
        if len(text) > MAX_SPLIT_ON_LOOP_CHARACTERS and self.count_unsplit(text) > MAX_SPLIT_ON_LOOP_CHARACTERS:
            on_loop.append(threading.current_thread() is threading.main_thread())
        return update(self, text)

    async def answer(*_: Any) -> Reply:
        return Reply(text=LONG_TEXT, is_private=True)

    monkeypatch.setattr(Splitter, "update", note_thread)
    monkeypatch.setattr(Usage, "answer", answer)
    return on_loop
