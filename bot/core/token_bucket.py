"""The one token bucket of the bot: a level that is spent by calls, refills evenly, and is corrected by replies."""

from collections.abc import Callable

# Sums of fractions may miss a whole token by a hair.
_WHOLE_TOKEN = 1 - 1e-6


class TokenBucket:
    """Holds at most `burst` tokens and refills by `per_second`. A block stops spending and refilling until its end.

    `now` returns seconds of a clock that never jumps back. The level may be set above `burst` if the limiting system
    reports more tokens, and below zero by reservations.
    """

    def __init__(self, now: Callable[[], float], *, burst: float, per_second: float) -> None:
        self._now = now
        self._burst = burst
        self._per_second = per_second
        self._level = burst
        self._refilled_at = now()
        self._blocked_until = float("-inf")

    @property
    def level(self) -> float:
        """Tokens left now."""
        self._refill()
        return self._level

    @level.setter
    def level(self, tokens: float) -> None:
        self._refill()
        self._level = tokens

    @property
    def per_second(self) -> float:
        return self._per_second

    @per_second.setter
    def per_second(self, per_second: float) -> None:
        self._refill()  # at the old rate until now
        self._per_second = per_second

    @property
    def blocked_seconds(self) -> float:
        """Seconds until the block ends, 0 without a block."""
        return max(0.0, self._blocked_until - self._now())

    def block(self, seconds: float) -> None:
        """Block the bucket for at least `seconds` from now."""
        self._refill()
        self._blocked_until = max(self._blocked_until, self._now() + seconds)

    def seconds_until_available(self) -> float:
        """Return the seconds until a whole token is left, 0 for now."""
        missing = 0.0 if self.level >= _WHOLE_TOKEN else 1 - self._level
        return self.blocked_seconds + missing / self._per_second

    def take(self) -> None:
        """Spend one token. Without a whole token left, the call is a reservation of a later one."""
        self.level -= 1

    def _refill(self) -> None:
        now = self._now()
        since = max(self._refilled_at, self._blocked_until)
        if now > since:
            refilled = min(self._burst, self._level + (now - since) * self._per_second)
            self._level = max(self._level, refilled)  # a reported level may exceed the burst
            self._refilled_at = now
