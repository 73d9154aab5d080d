"""TtlCache and RecentItems: invalidation during a load, and eviction of the oldest items."""

import asyncio

import pytest

from bot.core.caches import RecentItems, TtlCache
from tests.fakes.clock import ManualClock


async def test_a_value_invalidated_during_its_load_is_loaded_again() -> None:
    cache: TtlCache[str, str] = TtlCache(ManualClock(), 60)
    limit, is_changed = "old", asyncio.Event()

    async def read() -> str:
        found = limit
        await is_changed.wait()
        return found

    reading = asyncio.create_task(cache.get("mia", read))
    await asyncio.sleep(0)
    limit = "new"
    cache.invalidate("mia")
    is_changed.set()
    await reading

    assert await cache.get("mia", read) == "new"


async def test_a_value_cleared_during_its_load_is_loaded_again() -> None:
    cache: TtlCache[str, int] = TtlCache(ManualClock(), 60)
    reads = 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        cache.clear()
        return reads

    await cache.get("mia", read)

    assert await cache.get("mia", read) == 2


def test_the_oldest_item_is_forgotten_when_there_is_no_room() -> None:
    evicted: list[tuple[str, int]] = []
    items = RecentItems[str, int](2, on_evicted=lambda key, value: evicted.append((key, value)))

    items["a"], items["b"], items["c"] = 1, 2, 3

    assert list(items.items()) == [("b", 2), ("c", 3)]
    assert evicted == [("a", 1)]


def test_a_new_write_makes_an_item_the_newest_and_a_read_does_not() -> None:
    items = RecentItems[str, int](2)
    items["a"], items["b"] = 1, 2

    items["a"] = 3
    assert items["b"] == 2
    items["c"] = 4

    assert list(items) == ["a", "c"]


def test_a_known_key_is_not_new() -> None:
    items = RecentItems[str, None](2)

    assert items.add_if_new("a", None)
    assert not items.add_if_new("a", None)


def test_deleted_items_are_not_reported_as_evicted() -> None:
    evicted: list[str] = []
    items = RecentItems[str, int](1, on_evicted=lambda key, _: evicted.append(key))
    items["a"] = 1

    assert items.pop("a") == 1
    assert (len(items), evicted) == (0, [])


def test_pinned_items_and_the_item_just_written_stay_beyond_the_capacity() -> None:
    items = RecentItems[str, set[int]](1, is_pinned=bool)

    items["pinned"], items["b"], items["c"] = {1}, set(), set()
    assert list(items) == ["pinned", "c"]
    items["pinned"].clear()
    items["d"] = set()

    assert list(items) == ["d"]


def test_a_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        RecentItems[str, int](0)


async def test_only_a_young_value_is_found_without_a_load() -> None:
    clock = ManualClock()
    cache: TtlCache[str, int] = TtlCache(clock, 60)
    unknown = cache.find("mia")

    async def read() -> int:
        return 7

    await cache.get("mia", read)
    young = cache.find("mia")
    await clock.advance(60)

    assert (unknown, young, cache.find("mia")) == (None, 7, None)
