"""The line of writers: urgent ones first, and nobody lost when somebody gives up."""

import asyncio

import pytest

from bot.core.fair_queue import FairQueue


async def stand(line: FairQueue, name: str, done: list[str], *, is_urgent: bool = False) -> None:
    async with line.hold(priority=0 if is_urgent else 1):
        done.append(name)


async def all_wait() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_urgent_writers_overtake_and_arrival_counts_within_a_level() -> None:
    line = FairQueue(1)
    done: list[str] = []
    first = line.join(priority=1)
    async with asyncio.TaskGroup() as group:
        for name, is_urgent in (("a", False), ("b", False), ("C", True), ("D", True)):
            group.create_task(stand(line, name, done, is_urgent=is_urgent))
        await all_wait()
        assert done == []
        line.leave(first)

    assert done == ["C", "D", "a", "b"]


async def test_as_many_write_at_once_as_there_are_places() -> None:
    line = FairQueue(2)
    done: list[str] = []
    first = line.join(priority=1)

    await stand(line, "beside", done)
    second = line.join(priority=1)
    waiting = asyncio.create_task(stand(line, "waits", done))
    await all_wait()

    assert first.granted.is_set()
    assert second.granted.is_set()
    assert done == ["beside"]
    line.leave(first)
    await waiting


@pytest.mark.parametrize("turn_has_come", [False, True])
async def test_who_gives_up_does_not_block_the_next(turn_has_come: bool) -> None:
    line = FairQueue(1)
    done: list[str] = []
    first = line.join(priority=1)
    quitter = asyncio.create_task(stand(line, "quitter", done))
    await all_wait()
    patient = asyncio.create_task(stand(line, "patient", done))
    await all_wait()

    if turn_has_come:
        line.leave(first)
    quitter.cancel()
    await all_wait()
    if not turn_has_come:
        line.leave(first)
    await patient

    assert done == ["patient"]
    assert quitter.cancelled()
