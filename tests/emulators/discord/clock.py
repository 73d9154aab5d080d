"""The platform's clock and its ids: real time with adjustable speed, which tests can advance."""

import time


class DiscordClock:
    """`speed` divides each of the platform's time spans: at 60, a token lives 15 s and an acknowledgement has 50 ms.

    Time spans sent to clients (`retry_after`, `X-RateLimit-Reset-After`) are already divided: clients sleep in real
    time.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._start = time.time() - time.monotonic()
        self._ahead = 0.0

    def now(self) -> float:
        """Return Unix seconds, which never decrease."""
        return self._start + time.monotonic() + self._ahead

    def scale(self, seconds: float) -> float:
        """Return the real seconds for a time span of the platform."""
        return seconds / self.speed

    def advance(self, seconds: float) -> None:
        """Skip a time span: tokens expire, buckets refill, file URLs expire."""
        self._ahead += seconds


_EPOCH_MILLISECONDS = 1_420_070_400_000
_COUNTER_BITS = 22


class DiscordIdGenerator:
    """Issues unique snowflakes: milliseconds since 2015 and a counter, so that later ids are greater."""

    def __init__(self, clock: DiscordClock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        fresh = (int(self._clock.now() * 1000) - _EPOCH_MILLISECONDS) << _COUNTER_BITS
        self._last = max(fresh, self._last + 1)
        return self._last
