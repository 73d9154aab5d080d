"""Two lines for the decoding of pictures: models' outputs first, people's uploads within the memory left for them.

Each picture reserves the memory that its decoding may take, so that pictures decoded at once stay within one bound.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

from bot.core.limits import MAX_DECODING_BYTES, OUTPUT_DECODING_BYTES

_MAX_AT_ONCE = 2


class Line(Enum):
    """The line in which a picture waits."""

    OUTPUTS = auto()
    """Paid outputs of models, and their copies for a platform."""
    UPLOADS = auto()
    """Pictures that people give."""


class DecodingLines:
    """Grants memory to decoders, in the order of each line; a waiting output goes before each waiting upload."""

    def __init__(self) -> None:
        self._waiting: dict[Line, deque[tuple[int, asyncio.Future[None]]]] = {line: deque() for line in Line}
        self._running = dict.fromkeys(Line, 0)
        self._reserved_bytes = 0

    @asynccontextmanager
    async def reserve(self, line: Line, needed_bytes: int) -> AsyncIterator[None]:
        """Wait for the memory of one picture, and hold the memory inside the block."""
        # A picture beyond the bound is decoded alone.
        needed_bytes = min(needed_bytes, self._get_bound_bytes(line))
        turn = asyncio.get_running_loop().create_future()
        entry = (needed_bytes, turn)
        self._waiting[line].append(entry)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(line, needed_bytes)
            else:
                self._waiting[line].remove(entry)
                self._grant()
            raise
        try:
            yield
        finally:
            self._release(line, needed_bytes)

    def _release(self, line: Line, released_bytes: int) -> None:
        self._running[line] -= 1
        self._reserved_bytes -= released_bytes
        self._grant()

    def _grant(self) -> None:
        """Let the first pictures of both lines start while memory is left."""
        for line in Line:
            waiting = self._waiting[line]
            while waiting and self._running[line] < _MAX_AT_ONCE:
                needed_bytes, turn = waiting[0]
                if self._reserved_bytes + needed_bytes > self._get_bound_bytes(line):
                    return  # an upload must not take the memory that an output waits for
                waiting.popleft()
                if not turn.cancelled():
                    self._running[line] += 1
                    self._reserved_bytes += needed_bytes
                    turn.set_result(None)

    def _get_bound_bytes(self, line: Line) -> int:
        return MAX_DECODING_BYTES - (OUTPUT_DECODING_BYTES if line is Line.UPLOADS else 0)
