"""Background tasks with an owner: kept alive, logged if they fail, drained or cancelled at the end; races of waits."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class BackgroundTasks:
    """The tasks of one owner. The event loop itself holds tasks weakly: without an owner a task may vanish."""

    def __init__(self, owner: str) -> None:
        """`owner` names the tasks in logs, for example `slack`."""
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> "asyncio.Task[None]":
        """Start a coroutine at once. A failure is logged as `background.task_failed` and does not propagate."""
        task = asyncio.create_task(self._run(work, name), name=f"{self._owner} {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # A task cancelled before the first step never enters `_run`: without this the coroutine stays unawaited.
        task.add_done_callback(lambda _: work.close())
        return task

    async def run_to_end(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Return a coroutine's result or raise the error; the coroutine goes on if the waiting caller is cancelled."""
        task = asyncio.create_task(work, name=f"{self._owner} {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait for all tasks, also for tasks that they spawn; return whether all ended in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._running:
                    await asyncio.wait(list(self._running))
        except TimeoutError:
            return False
        return True

    async def cancel(self) -> None:
        """Cancel all tasks and wait until each has ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, work: Coroutine[Any, Any, object], name: str) -> None:
        try:
            await work
        except Exception:  # the spawning code has moved on: the log is the only reader
            log.exception("background.task_failed", extra={"owner": self._owner, "task": name})


async def first_completed(*waits: Awaitable[object]) -> None:
    """Wait until the first of several waits completes, then cancel the others and wait for their end."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


WORK_FOR_ONE, WORK_OF_STRANGERS = 10, 19
"""How much nicer a thread is to others: than the event loop, and than threads with everybody's work too."""


def lower_thread_priority(nicer: int) -> None:
    """Let the calling thread yield to threads of higher priority. On Linux alone priorities belong to threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + nicer)
