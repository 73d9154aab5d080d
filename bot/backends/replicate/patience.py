"""How long to go on trying: waits between tries, as the service tells them or growing, within bounds."""

import random

from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown

MAX_TRIES = 4
"""Including the first, when the service cannot be reached."""

MAX_WAIT_SECONDS = 30.0
"""In all, when the service is busy. Whoever asked then hears when to try again."""

_INITIAL_WAIT_SECONDS = 0.5


class RetryBackoff:
    """For one call. Tell it each failure; it waits, or raises the failure when there is no point any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._waited_seconds = 0.0

    async def wait_or_raise(self, error: BackendBusy | BackendDown) -> None:
        """Wait before another try, or raise `error`."""
        self._failures += 1
        growing = _INITIAL_WAIT_SECONDS * 2 ** min(self._failures - 1, 5)
        if isinstance(error, BackendBusy):
            wait = max(error.retry_after_seconds, growing)
            is_over = self._waited_seconds + wait > MAX_WAIT_SECONDS
        else:
            wait = growing
            is_over = self._failures >= MAX_TRIES
        if is_over:
            raise error
        self._waited_seconds += wait
        await self._clock.sleep(with_jitter(wait))


def with_jitter(seconds: float) -> float:
    """Up to a fifth more than that, so that many who wait do not all come back at once."""
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 - only spreads load
