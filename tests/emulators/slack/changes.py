"""Waiting for something to happen, without looking at the clock over and over."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 5.0

Found = TypeVar("Found")


class Changes:
    """Whoever changes something says `happened`; whoever waits looks again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def happened(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def until(self, find: Callable[[], Found | None], what: str, patience: float = PATIENCE_SECONDS) -> Found:
        """The first thing that `find` gives and that is true. An AssertionError when `patience` seconds have passed."""
        try:
            async with asyncio.timeout(patience):
                while not (found := find()):
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    await waiter
                return found
        except TimeoutError:
            raise AssertionError(f"In {patience:g} s there was no {what}.") from None
