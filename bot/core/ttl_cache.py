"""A cache of values with a time to live, for limits, refused words and measured times that each request needs."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.core.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 10_000


class TtlCache(Generic[K, V]):
    """Values by key, each valid for `ttl_seconds`: the longest delay until a change by another process is seen."""

    def __init__(self, clock: Clock, ttl_seconds: float) -> None:
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._entries: dict[K, tuple[float, V]] = {}
        self._changes = 0

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the value of a key, loaded again if the cached value is too old."""
        now = self._clock.monotonic()
        read_at, *values = self._entries.get(key, (float("-inf"),))
        if values and now - read_at < self._ttl_seconds:
            return values[0]
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        changes = self._changes
        value = await load()
        # An invalidation during the load may have come after the read: storing the value would bring old data back.
        if changes == self._changes:
            self._entries[key] = (now, value)
        return value

    def invalidate(self, key: K) -> None:
        """Forget the value of a key that this process changed."""
        self._changes += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all values."""
        self._changes += 1
        self._entries.clear()
