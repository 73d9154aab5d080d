"""The bench's promise: after `say` and `advance_time`, no work is left for the test to wait for."""

import asyncio
import time

import pytest

from bot.storage.database import Database
from tests.bench import Bench
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import get_outside_work, settle, wait_until_idle


async def test_idle_waits_for_work_in_a_thread_and_for_what_follows_it() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.to_thread(time.sleep, 0.1)
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, 0.1)
        done.append("both")

    get_outside_work()
    task = asyncio.create_task(work())

    await wait_until_idle()

    assert done == ["both"]
    await task


async def test_idle_waits_for_a_transaction_to_be_committed(bench: Bench) -> None:
    done: list[str] = []

    async def work() -> None:
        async with bench.app.database.write() as tx:
            await tx.moderation.add_word("web", "page", "badger", "mo")
        done.append("committed")

    task = asyncio.create_task(work())
    await wait_until_idle()

    assert done == ["committed"]
    await task


async def test_idle_does_not_wait_for_the_clock_nor_for_the_test() -> None:
    clock, gate = ManualClock(), asyncio.Event()
    tasks = [asyncio.create_task(clock.sleep(5)), asyncio.create_task(gate.wait())]

    await wait_until_idle()

    assert [task.done() for task in tasks] == [False, False]
    gate.set()
    await clock.advance(5)
    await asyncio.gather(*tasks)


async def test_two_tasks_that_settle_at_once_do_not_wait_for_each_other() -> None:
    await asyncio.wait_for(asyncio.gather(settle(), settle(), wait_until_idle()), 5)


async def test_work_of_each_moment_is_done_before_time_moves_on(bench: Bench) -> None:
    moments: list[float] = []

    async def work() -> None:
        for _ in range(3):
            await bench.clock.sleep(1)
            async with bench.app.database.read() as tx:
                await tx.workers.list_alive(bench.clock.now())
            moments.append(bench.clock.monotonic())

    task = asyncio.create_task(work())
    await bench.advance_time(3)

    assert moments == [1, 2, 3]
    await task


async def test_a_patched_method_of_the_database_is_still_called(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(Database, "read", away)
    with pytest.raises(ConnectionError):
        await bench.app.jobs.get("any")
