"""The circuit: while the service is away nobody is kept waiting to hear it, and one ask at a time finds out."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.backends.replicate.errors import CreateLimits, format_wait, make_busy_error
from bot.core.clock import Clock
from bot.core.errors import BackendDown
from bot.core.fair_queue import PacedQueue, QueueEntry
from bot.core.token_bucket import TokenBucket

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

_RETRY, _NEW = 0, 1
"""Priorities: a throttled create goes before new ones."""


class CreateLimiter:
    """Lets creates through in order. Under a limit they simply wait longer, and none is lost."""

    def __init__(self, clock: Clock) -> None:
        self._queue = PacedQueue(clock, self)
        # One token at most: only Replicate knows the size of the burst, and each reply reports the rest of it.
        self._bucket = TokenBucket(clock.monotonic, burst=1, per_second=DEFAULT_PER_SECOND)
        self._is_level_known = False
        self._concurrency = float(INITIAL_CONCURRENCY)

    @property
    def waiting_count(self) -> int:
        return self._queue.waiting_count

    @asynccontextmanager
    async def acquire(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait for the turn, and hold it while the create is on its way. Who was throttled stands before the others.

        Raises `BackendBusy` when nobody may create for ten minutes.
        """
        async with self._queue.hold(priority=_RETRY if is_retry else _NEW):
            if self._bucket.blocked_seconds > MAX_CLOSED_SECONDS:
                raise make_busy_error(self._bucket.blocked_seconds)
            yield

    def update(self, limits: CreateLimits) -> None:
        """Take in what the reply to a create told. It is still counted as on its way."""
        if limits.per_second is not None:
            self._bucket.per_second = limits.per_second
        elif limits.remaining == 0 and limits.reset_seconds is not None:
            # Told in whole seconds, so one second may be a tenth of one.
            self._bucket.per_second = 1 / limits.reset_seconds if limits.reset_seconds > 1 else DEFAULT_PER_SECOND
        if limits.wait_seconds is not None:
            self._close(limits)
        elif limits.remaining is not None:
            self._set_level(limits.remaining)
        else:
            # Half a place: after a refusal the next create goes alone, and two go only after two successes.
            self._concurrency += 0.5
        self._queue.reconsider()

    def seconds_until_next(self, entry: QueueEntry) -> float | None:
        """Return the wait before the next create; None is the wait for a create in flight to return."""
        closed_seconds = self._bucket.blocked_seconds
        if closed_seconds > MAX_CLOSED_SECONDS:
            return 0.0  # `acquire` raises
        if closed_seconds or self._is_level_known:
            return closed_seconds or self._bucket.seconds_until_available()
        return 0.0 if self._queue.active_count + 1 <= self._concurrency else None

    def record_grant(self, entry: QueueEntry) -> None:
        """Spend a token if the limits are known."""
        if self._is_level_known:
            self._bucket.take()

    def _close(self, limits: CreateLimits) -> None:
        """Refused: after the wait one create tries the way, and what it is told lets the others follow."""
        self._bucket.block(limits.wait_seconds or 0)
        self._bucket.level = 1.0
        self._concurrency = 1.0
        self._is_level_known = limits.remaining is not None or limits.per_second is not None

    def _set_level(self, remaining: int) -> None:
        """Others on their way may be counted in `remaining` or not; and it is a whole number, we keep fractions."""
        least = remaining - (self._queue.active_count - 1)
        level = min(max(self._bucket.level, least), least + 1.0) if self._is_level_known else least
        self._bucket.level, self._is_level_known = level, True
