"""Methods that fail before they work again: a database away for a moment, a disk full for a moment."""

from typing import Any

import pytest


def fail_next_calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *errors: Exception) -> list[Exception]:
    """The next calls of the async `owner.name` raise these, one each; gives those that are still to come."""
    works, to_come = getattr(owner, name), list(errors)

    async def stumbling(*arguments: Any, **options: Any) -> Any:
        if to_come:
            raise to_come.pop(0)
        return await works(*arguments, **options)

    monkeypatch.setattr(owner, name, stumbling)
    return to_come
