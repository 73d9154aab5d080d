"""Methods failing for a while: a database away for a moment, a disk full for a moment."""

from typing import Any

import pytest


def fail_next_calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *errors: Exception) -> list[Exception]:
    """Let the next calls of the async `owner.name` raise `errors`, in order; return the list of remaining errors."""
    original, remaining = getattr(owner, name), list(errors)

    async def fail_first(*arguments: Any, **options: Any) -> Any:
        if remaining:
            raise remaining.pop(0)
        return await original(*arguments, **options)

    monkeypatch.setattr(owner, name, fail_first)
    return remaining
