"""A clock for tests: short waits end at once, long waits when the test advances the clock."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class LeapingClock:
    """Sleeps of up to `max_leap_seconds` move the clock; longer sleeps wait for `advance`. `slept_seconds` has all."""

    def __init__(self, max_leap_seconds: float = math.inf) -> None:
        self.slept_seconds: list[float] = []
        self._max_leap_seconds = max_leap_seconds
        self._seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    @property
    def sleeper_count(self) -> int:
        """How many wait for `advance`."""
        return len(self._sleepers)

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        self.slept_seconds.append(seconds)
        if seconds <= self._max_leap_seconds:
            self._seconds += seconds
            await asyncio.sleep(0)
            return
        over = asyncio.Event()
        sleeper = (self._seconds + seconds, over)
        self._sleepers.append(sleeper)
        try:
            await over.wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Move the clock, and wake every sleep that ends by then."""
        self._seconds += seconds
        for until, over in self._sleepers:
            if until <= self._seconds:
                over.set()
        self._sleepers = [(until, over) for until, over in self._sleepers if not over.is_set()]


async def wait_until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; fails after about two seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came true")
