"""The line of creates: first come, first served, at the pace that Replicate allows and tells.

Three things are learnt from replies: how many creates are left (`ratelimit-remaining`), how fast more come
(`ratelimit-reset`, or the words of a 429), and until when there are none (a 429).
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from bot.backends.replicate.problems import busy
from bot.backends.replicate.rates import RateNews
from bot.core.clock import Clock

USUAL_PER_SECOND = 10.0
"""Replicate's documented limit is 600 a minute; it is believed until a reply says otherwise."""

FIRST_AT_ONCE = 10
"""Before anything is known of the limits so many creates are on their way at most: an account with little credit may
make one, and the first reply tells. It costs the others of a burst one round trip."""

LONGEST_CLOSED_SECONDS = 600.0
"""Who is told to wait for longer hears so at once, instead of standing in line."""

_ENOUGH = 1 - 1e-6
"""Of a create: sums of fractions may miss the whole one by a hair."""


class Gate:
    """Lets creates through in order. Under a limit they simply wait longer, and none is lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line: list[tuple[int, int]] = []
        self._calls: dict[tuple[int, int], asyncio.Event] = {}
        self._numbers = count()
        self._in_flight = 0
        self._at_once = FIRST_AT_ONCE
        self._left: float | None = None
        self._per_second = USUAL_PER_SECOND
        self._counted_at = clock.monotonic()
        self._closed_until = float("-inf")

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @asynccontextmanager
    async def turn(self, *, is_again: bool = False) -> AsyncIterator[None]:
        """Wait for the turn, and hold it while the create is on its way. Who was throttled stands before the others.

        Raises `BackendBusy` when nobody may create for ten minutes.
        """
        await self._enter((0 if is_again else 1, next(self._numbers)))
        try:
            yield
        finally:
            self._in_flight -= 1
            self._call_the_first()

    def learn(self, news: RateNews) -> None:
        """Take in what the reply to a create told. It is still counted as on its way."""
        self._refill()
        if news.per_second is not None:
            self._per_second = news.per_second
        elif news.remaining == 0 and news.reset_seconds is not None:
            # Told in whole seconds, so one second may be a tenth of one.
            self._per_second = 1 / news.reset_seconds if news.reset_seconds > 1 else USUAL_PER_SECOND
        if news.wait_seconds is not None:
            self._close(news)
        elif news.remaining is not None:
            self._count(news.remaining)
        else:
            self._at_once += 1
        self._call_the_first()

    def _close(self, news: RateNews) -> None:
        """Refused: after the wait one create tries the way, and what it is told lets the others follow."""
        opens_at = self._clock.monotonic() + (news.wait_seconds or 0)
        self._closed_until = max(self._closed_until, opens_at)
        self._counted_at = self._closed_until
        self._at_once = 1
        self._left = None if news.remaining is None and news.per_second is None else 1.0

    def _count(self, remaining: int) -> None:
        """Others on their way may be counted in `remaining` or not; and it is a whole number, we keep fractions."""
        least = remaining - (self._in_flight - 1)
        self._left = float(least) if self._left is None else min(max(self._left, least), least + 1.0)

    async def _enter(self, place: tuple[int, int]) -> None:
        heapq.heappush(self._line, place)
        called = self._calls[place] = asyncio.Event()
        try:
            while self._line[0] != place or (wait := self._seconds_to_wait()) != 0:
                called.clear()
                await self._wait(called, None if self._line[0] != place else wait)
            self._in_flight += 1
            if self._left is not None:
                self._left -= 1
        finally:
            self._line.remove(place)
            heapq.heapify(self._line)
            del self._calls[place]
            self._call_the_first()

    def _seconds_to_wait(self) -> float | None:
        """None: until one of those on their way is back."""
        now = self._clock.monotonic()
        if now < self._closed_until:
            if self._closed_until - now > LONGEST_CLOSED_SECONDS:
                raise busy(self._closed_until - now)
            return self._closed_until - now
        if self._left is None:
            return 0.0 if self._in_flight < self._at_once else None
        self._refill()
        return 0.0 if self._left >= _ENOUGH else (1 - self._left) / self._per_second

    def _refill(self) -> None:
        now = self._clock.monotonic()
        if self._left is not None and now > self._counted_at:
            # One at most: only Replicate knows how many it saves up, and each reply says.
            self._left = max(self._left, min(1.0, self._left + (now - self._counted_at) * self._per_second))
        self._counted_at = max(now, self._closed_until)

    async def _wait(self, called: asyncio.Event, seconds: float | None) -> None:
        calling = asyncio.ensure_future(called.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds)) if seconds is not None else None
        both = {calling} if sleeping is None else {calling, sleeping}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()

    def _call_the_first(self) -> None:
        if self._line:
            self._calls[self._line[0]].set()
