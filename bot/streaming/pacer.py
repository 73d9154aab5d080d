"""Paces edits of messages: a limit of edits per window, learnt from replies, shared fairly by messages."""

from collections import deque
from dataclasses import dataclass, field
from itertools import count

from bot.core.clock import Clock
from bot.core.fair_queue import PacedQueue, QueueEntry
from bot.core.platform import Pacer

# Timers may be early by less than this, and a platform's clock ticks in milliseconds.
_TICK_SECONDS = 0.001
# Final edits go before all others, in order of arrival.
_FINAL_PRIORITY = -1
# Requests sent a window apart may arrive closer together by this.
_JITTER_SECONDS = 0.25


@dataclass(slots=True)
class _Grant:
    at: float
    is_answered: bool = False


@dataclass(slots=True)
class _WindowState:
    """The running window as the platform reports the window."""

    remaining: int
    reset_at: float


class EditBucket:
    """At most `limit` edits in `window_seconds`, over all messages that share the bucket.

    `spacing_factor` spaces ordinary edits by that multiple of window ÷ limit; without a factor, the rest of the window
    is divided evenly. Final edits go first, at once while a slot is left, and `reserved` slots are theirs alone.
    Messages take turns: the message that was edited longest ago is next. Until the platform reports the end of its
    window, any `window_seconds` stay within the limit, with some slack for requests that travel at different speeds.
    """

    def __init__(
        self, clock: Clock, *, limit: int, window_seconds: float, spacing_factor: float | None = None, reserved: int = 0
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window_seconds
        self._spacing_factor = spacing_factor
        self._reserved = reserved
        self._memory_seconds = window_seconds + max(_JITTER_SECONDS, window_seconds / 20)
        self._grants: deque[_Grant] = deque()
        self._window_state: _WindowState | None = None
        self._blocked_until = 0.0
        self._last_edit_at = float("-inf")
        self._queue = PacedQueue(clock, self)
        self._grant_numbers = count(1)
        self._pacers: set[BucketPacer] = set()

    def pacer(self) -> "BucketPacer":
        """Return the pacer of a new message."""
        pacer = BucketPacer(self)
        self._pacers.add(pacer)
        return pacer

    @property
    def is_idle(self) -> bool:
        """Whether the bucket can be forgotten: no message shares the bucket, and the last window has ended."""
        now = self._clock.monotonic()
        return not self._pacers and now - self._last_edit_at > self._memory_seconds and now > self._blocked_until

    def update(self, *, remaining: int, reset_after_seconds: float, limit: int | None = None) -> None:
        """Learn from the reply to one edit: slots left, seconds to the reset, and the limit."""
        now = self._clock.monotonic()
        for grant in self._grants:
            if not grant.is_answered:
                grant.is_answered = True
                break
        self._limit = limit or self._limit
        new = _WindowState(remaining, now + reset_after_seconds)
        known = self._window_state
        if known is not None and now < known.reset_at and new.reset_at < known.reset_at + self._window / 2:
            # The same window: replies may overtake each other, and each names a reset late by the reply's travel time.
            new = _WindowState(min(new.remaining, known.remaining), min(new.reset_at, known.reset_at))
        self._window_state = new
        self._queue.reconsider()

    def block(self, retry_after_seconds: float) -> None:
        """Send no edit for `retry_after_seconds`, after a 429."""
        self._blocked_until = max(self._blocked_until, self._clock.monotonic() + retry_after_seconds)
        self._queue.reconsider()

    def seconds_until_next(self, entry: QueueEntry) -> float:
        """Return the seconds until the first waiting edit may go, as far as known now."""
        now = self._clock.monotonic()
        seconds = self._earliest(now, is_final=entry.priority == _FINAL_PRIORITY) - now
        return seconds + _TICK_SECONDS if seconds > 0 else 0.0

    def record_grant(self, entry: QueueEntry) -> None:
        """Count an edit that is about to be sent."""
        now = self._clock.monotonic()
        self._grants.append(_Grant(now))
        self._last_edit_at = now

    async def _wait_for_edit(self, pacer: "BucketPacer", *, is_final: bool) -> None:
        # The message whose last edit is longest ago goes first, and a new message before all others.
        async with self._queue.hold(priority=_FINAL_PRIORITY if is_final else pacer.last_grant_number):
            pacer.last_grant_number = next(self._grant_numbers)

    def _earliest(self, now: float, *, is_final: bool) -> float:
        """Return the monotonic time of the next possible edit, as far as known now."""
        while self._grants and self._grants[0].at <= now - self._memory_seconds:
            self._grants.popleft()
        at = self._blocked_until
        if self._left(now) < (1 if is_final else 1 + self._reserved):
            at = max(at, self._refilled_at(now))
        return at if is_final else max(at, self._last_edit_at + self._spacing(now))

    def _left(self, now: float) -> int:
        if self._window_state is not None and now < self._window_state.reset_at:
            return self._window_state.remaining - sum(not grant.is_answered for grant in self._grants)
        return self._limit - len(self._counted())

    def _counted(self) -> list[_Grant]:
        """Return the edits that may count in the running window: edits since the last reset, and edits in flight."""
        reset_at = self._window_state.reset_at if self._window_state is not None else float("-inf")
        return [grant for grant in self._grants if grant.at >= reset_at or not grant.is_answered]

    def _refilled_at(self, now: float) -> float:
        if self._window_state is not None and now < self._window_state.reset_at:
            return self._window_state.reset_at
        oldest = min((grant.at for grant in self._counted()), default=now)
        return oldest + self._memory_seconds

    def _spacing(self, now: float) -> float:
        """Return the seconds from the last edit to the next ordinary edit."""
        if self._spacing_factor is not None:
            return self._spacing_factor * self._window / self._limit
        if self._window_state is None or now >= self._window_state.reset_at:
            return self._memory_seconds / max(1, self._limit - self._reserved)
        # One more share than slots: the edit after the last slot goes directly after the reset.
        return (self._window_state.reset_at - self._last_edit_at) / (max(0, self._left(now) - self._reserved) + 1)


@dataclass(slots=True, eq=False)
class BucketPacer(Pacer):
    """One message's share of a bucket."""

    _bucket: EditBucket
    last_grant_number: int = field(default=0)
    """Number of the message's last edit among all edits of the bucket; 0 before the first."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        await self._bucket._wait_for_edit(self, is_final=is_final)

    def close(self) -> None:
        self._bucket._pacers.discard(self)
