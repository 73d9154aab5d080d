"""What was read a moment ago, so that not every ask reads it again: limits, refused words, learnt times."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.core.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

MOST_KEPT = 10_000


class Fresh(Generic[K, V]):
    """Values by key, each believed for `seconds`. What another process changes is noticed after that at the latest."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._known: dict[K, tuple[float, V]] = {}
        self._changes = 0

    async def get(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The value of a key, read anew when it is too old."""
        now = self._clock.monotonic()
        read_at, *values = self._known.get(key, (float("-inf"),))
        if values and now - read_at < self._seconds:
            return values[0]
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        changes = self._changes
        value = await read()
        if changes == self._changes:  # else somebody here changed something meanwhile, and this may be as it was before
            self._known[key] = (now, value)
        return value

    def forget(self, key: K) -> None:
        """Read it again next time: somebody here changed it."""
        self._changes += 1
        self._known.pop(key, None)

    def forget_all(self) -> None:
        """Read everything again next time."""
        self._changes += 1
        self._known.clear()
