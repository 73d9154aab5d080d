"""Work that goes on after the acknowledgement: in tasks that we own, and wait for before we stop."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """Tasks that end in the log at worst."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(self._run(work, what), name=f"slack {what}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def drain(self, seconds: float) -> bool:
        """Wait for all of them; gives whether all ended in time."""
        if not self._running:
            return True
        _, pending = await asyncio.wait(list(self._running), timeout=seconds)
        return not pending

    async def cancel(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, work: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await work
        except Exception:  # nobody else would hear of it
            log.exception("slack.task_failed", extra={"what": what})
