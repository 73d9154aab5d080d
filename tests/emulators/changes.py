"""Waiting for something to have happened, woken by each change and never by a clock."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

DEFAULT_TIMEOUT_SECONDS = 5.0
"""Seconds after which a test stops waiting. No finding on a busy machine takes this long."""


class ConditionNotMet(AssertionError):
    """What a test waited for did not happen in time."""


class StateChanges:
    """Whoever waits is asked again after each change."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    def notify(self) -> None:
        still = []
        for look, future in self._waiting:
            if future.done():
                continue
            if found := look():
                future.set_result(found)
            else:
                still.append((look, future))
        self._waiting = still

    async def wait_for(
        self, condition: Callable[[], Found | None], description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Found:
        """The first truthy answer of `look`. Raises NotSeen, naming `what`, after `patience` seconds."""
        if found := condition():
            return found
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, future))
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            raise ConditionNotMet(f"waited {timeout_seconds:g} s for {description}") from None
