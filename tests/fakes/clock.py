"""Clocks moved by the test: a clock that stands still, and the machine's clock plus an offset."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

from bot.core.clock import SystemClock
from tests.fakes.event_loop import TIMEOUT_SECONDS, settle

_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class OffsetClock(SystemClock):
    """The machine's clock plus an offset, so that minutes pass at once. Sleepers sleep on, except through `hurry`."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._hurried_seconds = 0.0
        self._hurried = asyncio.Event()

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def hurry(self, seconds: float) -> None:
        """Skip `seconds` and wake the sleepers that are due."""
        self.ahead += seconds
        self._hurried_seconds += seconds
        self._hurried.set()
        self._hurried = asyncio.Event()

    async def hurry_until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Let up to `seconds` pass fast, and later ones at the usual pace, until a condition holds."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():
                if seconds > 0:
                    self.hurry(0.1)
                    seconds -= 0.1
                await asyncio.sleep(0.005)

    async def sleep(self, seconds: float) -> None:
        end = super().monotonic() + self._hurried_seconds + seconds
        await asyncio.sleep(0)
        while (left := end - super().monotonic() - self._hurried_seconds) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._hurried.wait()


class ManualClock:
    """Stands still until `advance`. Sleepers wake in the order of time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._orders = count()

    def now(self) -> datetime:
        return _NEW_YEAR + timedelta(seconds=self._now)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._orders), future))
        await future

    def tick(self) -> None:
        """Let a microsecond pass, too short for any sleeper: what happens next is later than what happened before."""
        self._now += 1e-6

    async def advance(self, seconds: float, settle: Callable[[], Awaitable[None]] = settle) -> None:
        """Move the time, waking each sleeper at the right moment; `settle` lets woken tasks run before the next moment.

        The default does not wait for threads. A heartbeat in the database meanwhile then sleeps from the new time on: a
        jump of a month wakes the heartbeat once, not two million times.
        """
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._now = max(self._now, at)
            future.set_result(None)
            await settle()
        self._now = end
        await settle()
