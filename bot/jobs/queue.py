"""Who is next: a bounded number of runs at once, and people served in turn while others wait."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Queue:
    """`limit` runs at once in this process. When it is full, people take turns, whoever asked how much."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, who: str, called_off: asyncio.Event | None = None) -> AsyncIterator[None]:
        """Wait for a place, and give it back at the end. Nobody waits on once `called_off` is set: they get none."""
        has_place = await self._enter(who, called_off)
        try:
            yield
        finally:
            if has_place:
                self._leave()

    async def _enter(self, who: str, called_off: asyncio.Event | None) -> bool:
        if self._free > 0:
            self._free -= 1
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        giving_up = asyncio.ensure_future((called_off or asyncio.Event()).wait())
        waits: list[asyncio.Future[Any]] = [turn, giving_up]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._forget(who, turn)
            raise
        finally:
            giving_up.cancel()
        if turn.done():
            return True
        self._forget(who, turn)
        return False

    def _leave(self) -> None:
        while self._waiting:
            who, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[who] = turns  # to the end of the line: others come first
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, who: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._leave()  # the place came just as the wait was called off
            return
        turns = self._waiting.get(who)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[who]
