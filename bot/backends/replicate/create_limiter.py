"""Decides when a create may be sent: at the pace that Replicate's replies report."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx

from bot.backends.replicate.errors import (
    DEFAULT_WAIT_SECONDS,
    make_busy_error,
    parse_seconds,
    read_rate_in_words,
    read_wait_seconds,
)
from bot.core.clock import Clock
from bot.core.fair_queue import PacedQueue, QueueEntry
from bot.core.token_bucket import TokenBucket

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreateLimits:
    """The limit on creates as one reply reports the limit; None for unreported parts."""

    remaining: int | None = None
    reset_seconds: float | None = None
    per_second: float | None = None
    """From the text of a 429: "reduced to 6 requests per minute"."""
    wait_seconds: float | None = None
    """Set by a 429 alone: the create was refused, and the next create may follow after these seconds."""


def read_create_limits(response: httpx.Response, *, now: datetime) -> CreateLimits:
    """Return the limits that the reply to a create reports. The body must have been read."""
    is_throttled = response.status_code == 429
    remaining = parse_seconds(response.headers.get("ratelimit-remaining"))
    wait = read_wait_seconds(response, now=now) if is_throttled else None
    return CreateLimits(
        remaining=None if remaining is None else int(remaining),
        reset_seconds=parse_seconds(response.headers.get("ratelimit-reset")),
        per_second=read_rate_in_words(response) if is_throttled else None,
        wait_seconds=(DEFAULT_WAIT_SECONDS if wait is None else wait) if is_throttled else None,
    )


DEFAULT_PER_SECOND = 10.0
"""Replicate documents 600 creates a minute (replicate.com/docs/topics/predictions/rate-limits)."""

# Creates in flight before the first reply reports a limit. An account with little credit may send one create at a time;
# the first reply says so, and the other creates of a burst have waited for one round trip.
INITIAL_CONCURRENCY = 10

MAX_CLOSED_SECONDS = 600.0
"""A longer wait than this fails at once, instead of keeping people waiting."""

# Priorities in the queue: a throttled create goes before new creates.
_RETRY, _NEW = 0, 1


class CreateLimiter:
    """Lets creates through in order, at a pace learnt from replies: creates left, their refill, and closed times."""

    def __init__(self, clock: Clock) -> None:
        self._queue = PacedQueue(clock, self)
        # One token at most: only Replicate knows the size of the burst, and each reply reports the rest of the burst.
        self._bucket = TokenBucket(clock.monotonic, burst=1, per_second=DEFAULT_PER_SECOND)
        self._is_level_known = False
        self._concurrency = float(INITIAL_CONCURRENCY)

    @property
    def waiting_count(self) -> int:
        return self._queue.waiting_count

    @asynccontextmanager
    async def acquire(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait for leave to create, and hold the place while the create is in flight. Retries go first.

        Raise `BackendBusy` if creates are refused for more than ten minutes.
        """
        async with self._queue.hold(priority=_RETRY if is_retry else _NEW):
            if self._bucket.blocked_seconds > MAX_CLOSED_SECONDS:
                raise make_busy_error(self._bucket.blocked_seconds)
            yield

    def update(self, limits: CreateLimits) -> None:
        """Learn from the reply to a create, which still counts as in flight."""
        if limits.per_second is not None:
            self._bucket.per_second = limits.per_second
        elif limits.remaining == 0 and limits.reset_seconds is not None:
            # The header has whole seconds, so one second may be a tenth of a second.
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
        """Return the seconds until the next create may go; None is the wait for a create in flight to return."""
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
        """Refuse all creates for a while; then one create goes first, and its reply decides about the others."""
        self._bucket.block(limits.wait_seconds or 0)
        self._bucket.level = 1.0
        self._concurrency = 1.0
        self._is_level_known = limits.remaining is not None or limits.per_second is not None

    def _set_level(self, remaining: int) -> None:
        # Other creates in flight may be counted in `remaining` or not; and the header has whole tokens, the bucket has
        # fractions: keep our level where both agree.
        least = remaining - (self._queue.active_count - 1)
        level = min(max(self._bucket.level, least), least + 1.0) if self._is_level_known else least
        self._bucket.level, self._is_level_known = level, True
