"""The circuit: while the service is away nobody is kept waiting to hear it, and one ask at a time finds out."""

import logging

from bot.backends.replicate.problems import format_wait
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
