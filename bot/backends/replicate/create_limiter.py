"""The circuit: while the service is away nobody is kept waiting to hear it, and one ask at a time finds out."""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from bot.backends.replicate.errors import CreateLimits, format_wait, make_busy_error
from bot.core.clock import Clock
from bot.core.errors import BackendDown

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 6
"""In a row, of any calls: not reached, or answered with a 5xx. Four of them may be one call's patience."""

INITIAL_OPEN_SECONDS = 15.0
MAX_OPEN_SECONDS = 120.0

PROBE_SECONDS = 30.0
"""So long the one ask that was let in may take to find out, before another one is let in."""


class CircuitBreaker:
    """Closed while calls are answered. After failures in a row it is open, then half-open until a call tells.

    Every call counts, also those of running jobs, which go on in any case: whoever is answered first closes it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probed_until = float("-inf")
        self._open_seconds = INITIAL_OPEN_SECONDS

    @property
    def is_open(self) -> bool:
        """Whether the service counts as away, half-open included."""
        return self._open_until is not None

    def record_success(self) -> None:
        """A call was answered, be it with a refusal."""
        if self.is_open:
            log.warning("replicate.circuit_closed")
        self._failures, self._open_until, self._open_seconds = 0, None, INITIAL_OPEN_SECONDS

    def record_failure(self) -> None:
        """A call was not answered, or with a 5xx."""
        self._failures += 1
        now = self._clock.monotonic()
        if self._open_until is None:
            if self._failures >= FAILURES_TO_OPEN:
                self._open(now)
        elif now >= self._open_until:
            self._open_seconds = min(self._open_seconds * 2, MAX_OPEN_SECONDS)
            self._open(now)

    def admit(self) -> None:
        """Let a new ask in, or raise `BackendDown`. When the time is up one is let in, to find out."""
        self.raise_if_open()
        now = self._clock.monotonic()
        if not self.is_open:
            return
        if now < self._probed_until:
            raise _make_down_error(self._probed_until - now)
        self._probed_until = now + PROBE_SECONDS

    def raise_if_open(self) -> None:
        """Raise `BackendDown` as long as there is no point in trying: half-open, trying is the point."""
        now = self._clock.monotonic()
        if self._open_until is not None and now < self._open_until:
            raise _make_down_error(self._open_until - now)

    def check(self) -> None:
        """Raise `BackendDown` while the service counts as away."""
        if self._open_until is not None:
            raise _make_down_error(max(0.0, self._open_until - self._clock.monotonic()))

    def _open(self, now: float) -> None:
        self._open_until = now + self._open_seconds
        self._probed_until = float("-inf")
        log.error("replicate.circuit_opened", extra={"failures": self._failures, "seconds": self._open_seconds})


def _make_down_error(seconds: float) -> BackendDown:
    return BackendDown(f"The model service cannot be reached right now. Try again {format_wait(seconds)}.")


# MERGED The line of creates: first come, first served, at the pace that Replicate allows and tells.
# MERGED Three things are learnt from replies: how many creates are left (`ratelimit-remaining`), how fast more come
# MERGED (`ratelimit-reset`, or the words of a 429), and until when there are none (a 429).

DEFAULT_PER_SECOND = 10.0
"""Replicate's documented limit is 600 a minute; it is believed until a reply says otherwise."""

INITIAL_CONCURRENCY = 10
"""Before anything is known of the limits so many creates are on their way at most: an account with little credit may
make one, and the first reply tells. It costs the others of a burst one round trip."""

MAX_CLOSED_SECONDS = 600.0
"""Who is told to wait for longer hears so at once, instead of standing in line."""

_WHOLE_TOKEN = 1 - 1e-6
"""Of a create: sums of fractions may miss the whole one by a hair."""


class CreateLimiter:
    """Lets creates through in order. Under a limit they simply wait longer, and none is lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: list[tuple[int, int]] = []
        self._wakeups: dict[tuple[int, int], asyncio.Event] = {}
        self._numbers = count()
        self._in_flight = 0
        self._concurrency = INITIAL_CONCURRENCY
        self._tokens: float | None = None
        self._per_second = DEFAULT_PER_SECOND
        self._refilled_at = clock.monotonic()
        self._closed_until = float("-inf")

    @property
    def waiting_count(self) -> int:
        """How many stand in line."""
        return len(self._queue)

    @asynccontextmanager
    async def acquire(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait for the turn, and hold it while the create is on its way. Who was throttled stands before the others.

        Raises `BackendBusy` when nobody may create for ten minutes.
        """
        await self._wait_in_queue((0 if is_retry else 1, next(self._numbers)))
        try:
            yield
        finally:
            self._in_flight -= 1
            self._wake_first()

    def update(self, limits: CreateLimits) -> None:
        """Take in what the reply to a create told. It is still counted as on its way."""
        self._refill()
        if limits.per_second is not None:
            self._per_second = limits.per_second
        elif limits.remaining == 0 and limits.reset_seconds is not None:
            # Told in whole seconds, so one second may be a tenth of one.
            self._per_second = 1 / limits.reset_seconds if limits.reset_seconds > 1 else DEFAULT_PER_SECOND
        if limits.wait_seconds is not None:
            self._close(limits)
        elif limits.remaining is not None:
            self._set_tokens(limits.remaining)
        else:
            self._concurrency += 1
        self._wake_first()

    def _close(self, limits: CreateLimits) -> None:
        """Refused: after the wait one create tries the way, and what it is told lets the others follow."""
        opens_at = self._clock.monotonic() + (limits.wait_seconds or 0)
        self._closed_until = max(self._closed_until, opens_at)
        self._refilled_at = self._closed_until
        self._concurrency = 1
        self._tokens = None if limits.remaining is None and limits.per_second is None else 1.0

    def _set_tokens(self, remaining: int) -> None:
        """Others on their way may be counted in `remaining` or not; and it is a whole number, we keep fractions."""
        least = remaining - (self._in_flight - 1)
        self._tokens = float(least) if self._tokens is None else min(max(self._tokens, least), least + 1.0)

    async def _wait_in_queue(self, entry: tuple[int, int]) -> None:
        heapq.heappush(self._queue, entry)
        called = self._wakeups[entry] = asyncio.Event()
        try:
            while self._queue[0] != entry or (wait := self._seconds_to_wait()) != 0:
                called.clear()
                await self._wait(called, None if self._queue[0] != entry else wait)
            self._in_flight += 1
            if self._tokens is not None:
                self._tokens -= 1
        finally:
            self._queue.remove(entry)
            heapq.heapify(self._queue)
            del self._wakeups[entry]
            self._wake_first()

    def _seconds_to_wait(self) -> float | None:
        """None: until one of those on their way is back."""
        now = self._clock.monotonic()
        if now < self._closed_until:
            if self._closed_until - now > MAX_CLOSED_SECONDS:
                raise make_busy_error(self._closed_until - now)
            return self._closed_until - now
        if self._tokens is None:
            return 0.0 if self._in_flight < self._concurrency else None
        self._refill()
        return 0.0 if self._tokens >= _WHOLE_TOKEN else (1 - self._tokens) / self._per_second

    def _refill(self) -> None:
        now = self._clock.monotonic()
        if self._tokens is not None and now > self._refilled_at:
            # One at most: only Replicate knows how many it saves up, and each reply says.
            self._tokens = max(self._tokens, min(1.0, self._tokens + (now - self._refilled_at) * self._per_second))
        self._refilled_at = max(now, self._closed_until)

    async def _wait(self, called: asyncio.Event, seconds: float | None) -> None:
        calling = asyncio.ensure_future(called.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds)) if seconds is not None else None
        both = {calling} if sleeping is None else {calling, sleeping}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()

    def _wake_first(self) -> None:
        if self._queue:
            self._wakeups[self._queue[0]].set()
