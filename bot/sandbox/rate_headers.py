"""`ratelimit-remaining` and `ratelimit-reset`, which are on every reply: a bucket per kind of call, refilled evenly.

Limits are those of replicate.com/docs/topics/predictions/rate-limits. They are told here, not enforced.
"""

import math

from bot.sandbox.clock import SandboxClock

_CREATES_PER_MINUTE = 600
_OTHERS_PER_MINUTE = 3000


class _Bucket:
    def __init__(self, per_minute: int, clock: SandboxClock) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._spent = 0.0
        self._last = clock.now()

    def spend(self) -> dict[str, str]:
        now = self._clock.now()
        refilled = (now - self._last).total_seconds() * self._per_minute / 60
        self._last = now
        self._spent = min(max(0.0, self._spent - refilled) + 1, self._per_minute)
        remaining = int(self._per_minute - self._spent)
        return {
            "ratelimit-remaining": str(remaining),
            "ratelimit-reset": str(math.ceil(self._spent * 60 / self._per_minute)),
        }


class RateHeaders:
    def __init__(self, clock: SandboxClock) -> None:
        self._creates = _Bucket(_CREATES_PER_MINUTE, clock)
        self._others = _Bucket(_OTHERS_PER_MINUTE, clock)

    def spend(self, *, is_create: bool) -> dict[str, str]:
        """Count one call; gives the headers of its reply."""
        return (self._creates if is_create else self._others).spend()
