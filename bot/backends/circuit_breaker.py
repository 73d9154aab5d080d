"""A circuit breaker for outages of a backend's server."""

import logging
import math

from bot.core.clock import Clock
from bot.core.errors import BackendDown

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 6
"""Failures in a row, of any calls: not reached, or a 5xx. Four of them may be the tries of one call."""

INITIAL_OPEN_SECONDS = 15.0
MAX_OPEN_SECONDS = 120.0

PROBE_SECONDS = 30.0
"""Time for the one admitted request of a half-open circuit, before another request is admitted."""


class CircuitBreaker:
    """Open after failures in a row, half-open after a wait, closed by the first answered call.

    Every call counts, also the calls of running jobs, which go on while the circuit is open.
    """

    def __init__(self, clock: Clock, name: str, service: str = "The model service") -> None:
        """`name` is the backend's, for the log; `service` begins the sentence for users."""
        self._clock = clock
        self._name = name
        self._service = service
        self._failures = 0
        self._open_until: float | None = None
        self._probed_until = float("-inf")
        self._open_seconds = INITIAL_OPEN_SECONDS

    @property
    def is_open(self) -> bool:
        """Whether the service counts as away, half-open included."""
        return self._open_until is not None

    @property
    def is_failing(self) -> bool:
        """Whether the last call got no answer, or a 5xx."""
        return self._failures > 0

    def record_success(self) -> None:
        """Close the circuit: the service answered a call, if only with a refusal."""
        if self.is_open:
            log.warning("backend.circuit_closed", extra={"backend": self._name})
        self._failures, self._open_until, self._open_seconds = 0, None, INITIAL_OPEN_SECONDS

    def record_failure(self) -> None:
        """Count a call without an answer, or with a 5xx."""
        self._failures += 1
        now = self._clock.monotonic()
        if self._open_until is None:
            if self._failures >= FAILURES_TO_OPEN:
                self._open(now)
        elif now >= self._open_until:
            self._open_seconds = min(self._open_seconds * 2, MAX_OPEN_SECONDS)
            self._open(now)

    def admit(self) -> None:
        """Admit a new request, or raise `BackendDown`. A half-open circuit admits one request, to probe the service."""
        self.raise_if_open()
        now = self._clock.monotonic()
        if not self.is_open:
            return
        if now < self._probed_until:
            raise self._make_error(self._probed_until - now)
        self._probed_until = now + PROBE_SECONDS

    def raise_if_open(self) -> None:
        """Raise `BackendDown` unless the circuit is closed or half-open: the probe itself must pass."""
        now = self._clock.monotonic()
        if self._open_until is not None and now < self._open_until:
            raise self._make_error(self._open_until - now)

    def check(self) -> None:
        """Raise `BackendDown` while the service counts as away. Changes nothing."""
        if self._open_until is not None:
            raise self._make_error(max(0.0, self._open_until - self._clock.monotonic()))

    def _open(self, now: float) -> None:
        self._open_until = now + self._open_seconds
        self._probed_until = float("-inf")
        facts = {"backend": self._name, "failures": self._failures, "seconds": self._open_seconds}
        log.error("backend.circuit_opened", extra=facts)

    def _make_error(self, seconds: float) -> BackendDown:
        return BackendDown(f"{self._service} cannot be reached right now. Try again {format_wait(seconds)}.")


def format_wait(seconds: float) -> str:
    """Return a wait as the end of a sentence, rounded up: "in 15 seconds"."""
    whole = max(1, math.ceil(seconds))
    wait = "a second" if whole == 1 else f"{whole} seconds" if whole < 120 else f"{math.ceil(whole / 60)} minutes"
    return f"in {wait}"
