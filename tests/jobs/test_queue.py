"""People take turns when the queue is full."""

import asyncio

from bot.jobs.queue import Queue


async def test_people_take_turns_whoever_asked_how_much() -> None:
    queue, order, first = Queue(1), [], asyncio.Event()

    async def run(who: str, until: asyncio.Event | None = None) -> None:
        async with queue.place(who):
            order.append(who)
            if until is not None:
                await until.wait()

    tasks = [asyncio.create_task(run("ana", first))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(run(who)) for who in ("ana", "ana", "ana", "ben", "cleo")]
    await asyncio.sleep(0)
    first.set()
    await asyncio.gather(*tasks)

    assert order == ["ana", "ana", "ben", "cleo", "ana", "ana"]


async def test_who_stops_waiting_loses_nobodys_place() -> None:
    queue = Queue(1)
    async with queue.place("ana"):
        waiting = asyncio.create_task(_enter(queue, "ben"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async with asyncio.timeout(1), queue.place("cleo"):
        pass


async def test_a_place_given_to_somebody_who_just_left_goes_on() -> None:
    queue, inside = Queue(1), asyncio.Event()
    holder = asyncio.create_task(_enter(queue, "ana", inside))
    await asyncio.sleep(0)
    leaver, next_one = asyncio.create_task(_enter(queue, "ben")), asyncio.create_task(_enter(queue, "cleo"))
    await asyncio.sleep(0)
    inside.set()
    await holder
    leaver.cancel()

    async with asyncio.timeout(1):
        await next_one


async def _enter(queue: Queue, who: str, until: asyncio.Event | None = None) -> None:
    async with queue.place(who):
        if until is not None:
            await until.wait()
