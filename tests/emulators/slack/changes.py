"""Waiting for something to happen, without looking at the clock over and over."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

DEFAULT_TIMEOUT_SECONDS = 5.0

Found = TypeVar("Found")


class SlackChanges:
    """Whoever changes something says `happened`; whoever waits looks again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait_for(
        self, condition: Callable[[], Found | None], description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Found:
        """The first thing that `find` gives and that is true. An AssertionError when `patience` seconds have passed."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while not (found := condition()):
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    await waiter
                return found
        except TimeoutError:
            raise AssertionError(f"In {timeout_seconds:g} s there was no {description}.") from None
