"""The line of writers: urgent ones first, and nobody lost when somebody gives up."""

import asyncio

import pytest

from bot.storage.write_queue import WriteQueue


async def stand(line: WriteQueue, name: str, done: list[str], *, is_urgent: bool = False) -> None:
    async with line.place(is_urgent=is_urgent):
        done.append(name)


async def all_wait() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_urgent_writers_overtake_and_arrival_counts_within_a_level() -> None:
    line = WriteQueue(1)
    done: list[str] = []
    async with line.place(is_urgent=False), asyncio.TaskGroup() as group:
        for name, is_urgent in (("a", False), ("b", False), ("C", True), ("D", True)):
            group.create_task(stand(line, name, done, is_urgent=is_urgent))
        await all_wait()
        assert done == []
        line.leave()
        await line.enter(is_urgent=False)

    assert done == ["C", "D", "a", "b"]


async def test_as_many_write_at_once_as_there_are_places() -> None:
    line = WriteQueue(2)
    done: list[str] = []
    await line.enter(is_urgent=False)

    await stand(line, "beside", done)
    await line.enter(is_urgent=False)
    waiting = asyncio.create_task(stand(line, "waits", done))
    await all_wait()

    assert done == ["beside"]
    line.leave()
    await waiting


@pytest.mark.parametrize("turn_has_come", [False, True])
async def test_who_gives_up_does_not_block_the_next(turn_has_come: bool) -> None:
    line = WriteQueue(1)
    done: list[str] = []
    await line.enter(is_urgent=False)
    quitter = asyncio.create_task(stand(line, "quitter", done))
    await all_wait()
    patient = asyncio.create_task(stand(line, "patient", done))
    await all_wait()

    if turn_has_come:
        line.leave()
    quitter.cancel()
    await all_wait()
    if not turn_has_come:
        line.leave()
    await patient

    assert done == ["patient"]
    assert quitter.cancelled()
