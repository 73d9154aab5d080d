"""A clock moved by hand, which wakes sleepers one after the other."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

_SETTLING_ROUNDS = 25
_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Time stands still until `advance`. Everything that can run at a moment has run before the next one comes."""

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

    async def advance(self, seconds: float) -> None:
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


async def settle() -> None:
    """Let every task run that can run now."""
    for _ in range(_SETTLING_ROUNDS):
        await asyncio.sleep(0)
