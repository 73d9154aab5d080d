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
