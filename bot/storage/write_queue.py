"""Who writes next: a line of writers in which what was paid for overtakes new asks."""

import asyncio
from collections import deque
from types import TracebackType


class WriteQueue:
    """Lets `places` writers in at once; the others wait, urgent ones first, in order of arrival within a level."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._ordinary: deque[asyncio.Future[None]] = deque()

    def place(self, *, is_urgent: bool) -> "_Place":
        """A place to hold with `async with`."""
        return _Place(self, is_urgent)

    async def enter(self, is_urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        (self._urgent if is_urgent else self._ordinary).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # our turn came in the very moment we were cancelled: pass it on
            raise

    def leave(self) -> None:
        for line in (self._urgent, self._ordinary):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class _Place:
    def __init__(self, line: WriteQueue, is_urgent: bool) -> None:
        self._line = line
        self._is_urgent = is_urgent

    async def __aenter__(self) -> None:
        await self._line.enter(self._is_urgent)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.leave()
