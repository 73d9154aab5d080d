"""The circuit: while the service is away nobody is kept waiting to hear it, and one ask at a time finds out."""

import logging

from bot.backends.replicate.problems import in_time
from bot.core.clock import Clock
from bot.core.errors import BackendDown

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 6
"""In a row, of any calls: not reached, or answered with a 5xx. Four of them may be one call's patience."""

FIRST_SECONDS_OPEN = 15.0
LONGEST_SECONDS_OPEN = 120.0

PROBE_SECONDS = 30.0
"""So long the one ask that was let in may take to find out, before another one is let in."""


class Circuit:
    """Closed while calls are answered. After failures in a row it is open, then half-open until a call tells.

    Every call counts, also those of running jobs, which go on in any case: whoever is answered first closes it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._refuses_until: float | None = None
        self._probed_until = float("-inf")
        self._seconds_open = FIRST_SECONDS_OPEN

    @property
    def is_open(self) -> bool:
        """Whether the service counts as away, half-open included."""
        return self._refuses_until is not None

    def worked(self) -> None:
        """A call was answered, be it with a refusal."""
        if self.is_open:
            log.warning("replicate.circuit_closed")
        self._failures, self._refuses_until, self._seconds_open = 0, None, FIRST_SECONDS_OPEN

    def failed(self) -> None:
        """A call was not answered, or with a 5xx."""
        self._failures += 1
        now = self._clock.monotonic()
        if self._refuses_until is None:
            if self._failures >= FAILURES_TO_OPEN:
                self._open(now)
        elif now >= self._refuses_until:
            self._seconds_open = min(self._seconds_open * 2, LONGEST_SECONDS_OPEN)
            self._open(now)

    def admit(self) -> None:
        """Let a new ask in, or raise `BackendDown`. When the time is up one is let in, to find out."""
        self.refuse_while_open()
        now = self._clock.monotonic()
        if not self.is_open:
            return
        if now < self._probed_until:
            raise _down(self._probed_until - now)
        self._probed_until = now + PROBE_SECONDS

    def refuse_while_open(self) -> None:
        """Raise `BackendDown` as long as there is no point in trying: half-open, trying is the point."""
        now = self._clock.monotonic()
        if self._refuses_until is not None and now < self._refuses_until:
            raise _down(self._refuses_until - now)

    def check(self) -> None:
        """Raise `BackendDown` while the service counts as away."""
        if self._refuses_until is not None:
            raise _down(max(0.0, self._refuses_until - self._clock.monotonic()))

    def _open(self, now: float) -> None:
        self._refuses_until = now + self._seconds_open
        self._probed_until = float("-inf")
        log.error("replicate.circuit_opened", extra={"failures": self._failures, "seconds": self._seconds_open})


def _down(seconds: float) -> BackendDown:
    return BackendDown(f"The model service cannot be reached right now. Try again {in_time(seconds)}.")
