"""Tests the order of writers: asks and urgent writers first, and no slot lost by a cancelled writer."""

import asyncio
from pathlib import Path

import pytest

from bot.core.fair_queue import FairQueue
from bot.storage.database import Database


async def write(queue: FairQueue, name: str, done: list[str], *, is_urgent: bool = False) -> None:
    async with queue.hold(priority=0 if is_urgent else 1):
        done.append(name)


async def let_all_tasks_run() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_urgent_writers_enter_first_then_by_arrival() -> None:
    queue = FairQueue(1)
    done: list[str] = []
    first = queue.join(priority=1)
    async with asyncio.TaskGroup() as group:
        for name, is_urgent in (("a", False), ("b", False), ("C", True), ("D", True)):
            group.create_task(write(queue, name, done, is_urgent=is_urgent))
        await let_all_tasks_run()
        assert done == []
        queue.leave(first)

    assert done == ["C", "D", "a", "b"]


async def test_as_many_writers_enter_as_there_are_slots() -> None:
    queue = FairQueue(2)
    done: list[str] = []
    first = queue.join(priority=1)

    await write(queue, "beside", done)
    second = queue.join(priority=1)
    waiting = asyncio.create_task(write(queue, "waits", done))
    await let_all_tasks_run()

    assert first.granted.is_set()
    assert second.granted.is_set()
    assert done == ["beside"]
    queue.leave(first)
    await waiting


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_a_cancelled_writer_does_not_block_the_next(is_admitted: bool) -> None:
    queue = FairQueue(1)
    done: list[str] = []
    first = queue.join(priority=1)
    quitter = asyncio.create_task(write(queue, "quitter", done))
    await let_all_tasks_run()
    patient = asyncio.create_task(write(queue, "patient", done))
    await let_all_tasks_run()

    if is_admitted:
        queue.leave(first)
    quitter.cancel()
    await let_all_tasks_run()
    if not is_admitted:
        queue.leave(first)
    await patient

    assert done == ["patient"]
    assert quitter.cancelled()


async def test_asks_go_before_the_writes_of_running_jobs_and_hold_up_no_urgent_write(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path.as_posix()}/easel.db")
    await database.open()
    order: list[str] = []

    async def write_in_database(name: str, *, is_urgent: bool = False) -> None:
        async with database.write(is_urgent=is_urgent):
            order.append(name)

    async def ask(name: str) -> None:
        async with database.accept():
            order.append(name)

    async with asyncio.TaskGroup() as group, database.write():
        for _ in range(20):
            group.create_task(write_in_database("ordinary"))
            group.create_task(write_in_database("urgent", is_urgent=True))
        await let_all_tasks_run()
        for n in range(20):
            group.create_task(ask(f"ask {n}"))
        await let_all_tasks_run()
    await database.close()

    first, last = order.index("ask 0"), order.index("ask 19")
    assert first <= 2
    assert [name for name in order if name.startswith("ask")] == [f"ask {n}" for n in range(20)]
    assert 4 <= order[first:last].count("urgent") <= 6
    assert order[-20:] == ["ordinary"] * 20
