"""Two bounded caches: values with a time to live, and a mapping of the most recent items."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
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

    def find(self, key: K) -> V | None:
        """Return the value of a key if the cached value is young enough."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and self._clock.monotonic() - entry[0] < self._ttl_seconds else None

    def invalidate(self, key: K) -> None:
        """Forget the value of a key that this process changed."""
        self._changes += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all values."""
        self._changes += 1
        self._entries.clear()


Key = TypeVar("Key")
Value = TypeVar("Value")


class RecentItems(MutableMapping[Key, Value]):
    """At most `capacity` items, ordered by their last write. Reading an item does not make the item newer.

    `on_evicted` receives each key and value that the bound evicts, not deleted items. The bound never evicts a value
    while `is_pinned` returns True for the value, nor the item just written: pinned items may exceed the capacity.
    """

    def __init__(
        self,
        capacity: int,
        on_evicted: Callable[[Key, Value], None] | None = None,
        *,
        is_pinned: Callable[[Value], bool] = lambda _: False,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._capacity = capacity
        self._on_evicted = on_evicted
        self._is_pinned = is_pinned
        self._items: OrderedDict[Key, Value] = OrderedDict()

    def __getitem__(self, key: Key) -> Value:
        return self._items[key]

    def __setitem__(self, key: Key, value: Value) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self._capacity:
            oldest_key = next(
                (old for old in self._items if old != key and not self._is_pinned(self._items[old])), None
            )
            if oldest_key is None:
                return
            oldest_value = self._items.pop(oldest_key)
            if self._on_evicted is not None:
                self._on_evicted(oldest_key, oldest_value)

    def __delitem__(self, key: Key) -> None:
        del self._items[key]

    def __iter__(self) -> Iterator[Key]:
        """Iterate from the oldest key to the newest."""
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add_if_new(self, key: Key, value: Value) -> bool:
        """Store an item unless the key is known; return whether the key was new."""
        if key in self._items:
            return False
        self[key] = value
        return True
