"""BackgroundTasks: owned, logged, drained and cancelled."""

import asyncio
import inspect

import pytest

from bot.core.background_tasks import BackgroundTasks


async def test_draining_waits_for_tasks_and_for_their_spawned_tasks() -> None:
    tasks = BackgroundTasks("test")
    done: list[str] = []

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.spawn(second(), "second")
        done.append("first")

    tasks.spawn(first(), "first")

    assert await tasks.drain()
    assert (done, len(tasks)) == (["first", "second"], 0)


async def test_draining_ends_in_time_and_cancelling_ends_the_rest() -> None:
    tasks = BackgroundTasks("test")
    task = tasks.spawn(asyncio.Event().wait(), "waiting")

    assert not await tasks.drain(0.01)
    await tasks.cancel()

    assert task.cancelled()
    assert len(tasks) == 0


async def test_a_cancelled_caller_leaves_a_task_run_to_its_end() -> None:
    tasks = BackgroundTasks("test")
    gate = asyncio.Event()
    done: list[str] = []

    async def work() -> str:
        await gate.wait()
        done.append("work")
        return "result"

    caller = asyncio.create_task(tasks.run_to_end(work(), "work"))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    gate.set()

    assert await tasks.drain()
    assert (caller.cancelled(), done) == (True, ["work"])
    assert await tasks.run_to_end(work(), "again") == "result"


async def test_a_failure_is_logged_and_does_not_propagate(caplog: pytest.LogCaptureFixture) -> None:
    tasks = BackgroundTasks("test")

    async def fail() -> None:
        raise ValueError("broken")

    tasks.spawn(fail(), "failing")
    await tasks.drain()

    assert [record.message for record in caplog.records] == ["background.task_failed"]
    assert caplog.records[0].__dict__["owner"] == "test"


async def test_the_coroutine_of_a_task_cancelled_before_its_first_step_is_closed() -> None:
    tasks, work = BackgroundTasks("test"), asyncio.sleep(1)
    tasks.spawn(work, "never begun")

    await tasks.cancel()

    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
