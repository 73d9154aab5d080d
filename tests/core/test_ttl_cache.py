"""TtlCache: invalidation during a load."""

import asyncio

from bot.core.ttl_cache import TtlCache
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
