"""What was read a moment ago, and when it is not to be believed any more."""

import asyncio

from bot.core.ttl_cache import TtlCache
from tests.fakes.clock import ManualClock


async def test_what_is_changed_while_it_is_read_is_read_again() -> None:
    known: TtlCache[str, str] = TtlCache(ManualClock(), 60)
    limit, is_changed = "old", asyncio.Event()

    async def read() -> str:
        found = limit
        await is_changed.wait()
        return found

    reading = asyncio.create_task(known.get("mia", read))
    await asyncio.sleep(0)
    limit = "new"
    known.invalidate("mia")
    is_changed.set()
    await reading

    assert await known.get("mia", read) == "new"


async def test_a_change_of_everything_reaches_what_is_being_read() -> None:
    known: TtlCache[str, int] = TtlCache(ManualClock(), 60)
    reads = 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        known.clear()
        return reads

    await known.get("mia", read)

    assert await known.get("mia", read) == 2
