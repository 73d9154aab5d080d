"""A mapping that keeps its most recent items and forgets the oldest ones beyond a bound."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RecentItems(MutableMapping[K, V]):
    """At most `capacity` items, ordered by their last write. Reading an item does not make the item newer.

    `on_evicted` receives each key and value that the bound evicts, not deleted items. The bound never evicts a value
    while `is_pinned` returns True for the value, nor the item just written: pinned items may exceed the capacity.
    """

    def __init__(
        self,
        capacity: int,
        on_evicted: Callable[[K, V], None] | None = None,
        *,
        is_pinned: Callable[[V], bool] = lambda _: False,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._capacity = capacity
        self._on_evicted = on_evicted
        self._is_pinned = is_pinned
        self._items: OrderedDict[K, V] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __setitem__(self, key: K, value: V) -> None:
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

    def __delitem__(self, key: K) -> None:
        del self._items[key]

    def __iter__(self) -> Iterator[K]:
        """Iterate from the oldest key to the newest."""
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add_if_new(self, key: K, value: V) -> bool:
        """Store an item unless the key is known; return whether the key was new."""
        if key in self._items:
            return False
        self[key] = value
        return True
