"""A clock moved by the test. Sleepers wake in the order of time."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from tests.fakes.event_loop import settle

_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Stands still until `advance`."""

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
