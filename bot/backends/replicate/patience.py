"""How long to go on trying: waits between tries, as the service tells them or growing, within bounds."""

import random

from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown

TRIES = 4
"""Including the first, when the service cannot be reached."""

LONGEST_WAIT_SECONDS = 30.0
"""In all, when the service is busy. Whoever asked then hears when to try again."""

_FIRST_WAIT_SECONDS = 0.5


class Patience:
    """For one call. Tell it each failure; it waits, or raises the failure when there is no point any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._waited = 0.0

    async def after(self, error: BackendBusy | BackendDown) -> None:
        """Wait before another try, or raise `error`."""
        self._failures += 1
        growing = _FIRST_WAIT_SECONDS * 2 ** min(self._failures - 1, 5)
        if isinstance(error, BackendBusy):
            wait = max(error.retry_after, growing)
            is_over = self._waited + wait > LONGEST_WAIT_SECONDS
        else:
            wait = growing
            is_over = self._failures >= TRIES
        if is_over:
            raise error
        self._waited += wait
        await self._clock.sleep(later(wait))


def later(seconds: float) -> float:
    """Up to a fifth more than that, so that many who wait do not all come back at once."""
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 - only spreads load
