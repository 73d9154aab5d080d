"""The platform's time: real time, in which its deadlines can be made shorter, and which can be moved forward."""

import time
from datetime import UTC, datetime


class DiscordClock:
    """`speed` divides each of the platform's spans: at 60, a token lives 15 s and an acknowledgement has 50 ms.

    Spans that clients are told (`retry_after`, `X-RateLimit-Reset-After`) are already divided, since clients sleep
    in real time.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._start = time.time() - time.monotonic()
        self._ahead = 0.0

    def now(self) -> float:
        """Unix seconds, which never jump back."""
        return self._start + time.monotonic() + self._ahead

    def scale(self, seconds: float) -> float:
        """How long the platform's `seconds` take here."""
        return seconds / self.speed

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass at once: tokens die, buckets refill, files' addresses expire."""
        self._ahead += seconds

    def format_timestamp(self, at: float | None = None) -> str:
        """A moment as Discord writes it."""
        return datetime.fromtimestamp(self.now() if at is None else at, UTC).isoformat(timespec="microseconds")


# MERGED Discord's ids: milliseconds since 2015 and a counter, so that younger things have greater ids.

_EPOCH_MILLISECONDS = 1_420_070_400_000
_COUNTER_BITS = 22


class DiscordIdGenerator:
    """Gives each id once."""

    def __init__(self, clock: DiscordClock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        fresh = (int(self._clock.now() * 1000) - _EPOCH_MILLISECONDS) << _COUNTER_BITS
        self._last = max(fresh, self._last + 1)
        return self._last


def decode_timestamp(snowflake: int) -> float:
    """When the id was given, in Unix seconds."""
    return ((snowflake >> _COUNTER_BITS) + _EPOCH_MILLISECONDS) / 1000
