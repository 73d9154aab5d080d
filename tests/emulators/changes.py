"""Wakes waiting tests after each change of an emulator's state; conditions are checked on changes, never on a timer."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

DEFAULT_TIMEOUT_SECONDS = 5.0
"""Default timeout of a wait. Longer than any wait of a passing test, also on a busy machine."""


class ConditionNotMet(AssertionError):
    """A condition was not met within the timeout."""


class StateChanges:
    """Checks each waiting condition again after every change."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    def notify(self) -> None:
        unmet = []
        for condition, future in self._waiting:
            if future.done():
                continue
            try:
                found = condition()
            except Exception as error:
                # The waiting test fails with the error, not the code that reported the change.
                future.set_exception(error)
                continue
            if found:
                future.set_result(found)
            else:
                unmet.append((condition, future))
        self._waiting = unmet

    async def wait_for(
        self, condition: Callable[[], Found | None], description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Found:
        """Return the first truthy result of `condition`. Raise `ConditionNotMet`, with `description`, after the
        timeout.
        """
        if found := condition():
            return found
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, future))
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            raise ConditionNotMet(f"waited {timeout_seconds:g} s for {description}") from None
