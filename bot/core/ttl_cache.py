"""What was read a moment ago, so that not every ask reads it again: limits, refused words, learnt times."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.core.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 10_000


class TtlCache(Generic[K, V]):
    """Values by key, each believed for `seconds`. What another process changes is noticed after that at the latest."""

    def __init__(self, clock: Clock, ttl_seconds: float) -> None:
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._entries: dict[K, tuple[float, V]] = {}
        self._changes = 0

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """The value of a key, read anew when it is too old."""
        now = self._clock.monotonic()
        read_at, *values = self._entries.get(key, (float("-inf"),))
        if values and now - read_at < self._ttl_seconds:
            return values[0]
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        changes = self._changes
        value = await load()
        if changes == self._changes:  # else somebody here changed something meanwhile, and this may be as it was before
            self._entries[key] = (now, value)
        return value

    def invalidate(self, key: K) -> None:
        """Read it again next time: somebody here changed it."""
        self._changes += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Read everything again next time."""
        self._changes += 1
        self._entries.clear()
