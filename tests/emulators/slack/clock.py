"""Slack's clock: the machine's, which a test may put forward."""

import asyncio
import time
from itertools import count


class SlackClock:
    """`now` is `time.monotonic()` until it is advanced, so that a benchmark may compare it with its own times."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = asyncio.Event()
        self._last_stamp = 0

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def get_epoch_seconds(self) -> float:
        """Seconds since 1970, as put forward."""
        return time.time() + self._ahead

    def next_timestamp(self) -> str:
        """The next message's `ts`: unlike all others, and later."""
        self._last_stamp = max(self._last_stamp + 1, int(self.get_epoch_seconds() * 1_000_000))
        seconds, micros = divmod(self._last_stamp, 1_000_000)
        return f"{seconds}.{micros:06}"

    def advance(self, seconds: float) -> None:
        """Put the clock forward: whoever sleeps until then wakes."""
        self._ahead += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            try:
                await asyncio.wait_for(self._moved.wait(), left)
            except TimeoutError:
                return


# MERGED Ids as Slack makes them: a letter that tells the kind, then capitals and digits.

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SlackIdGenerator:
    """Each id is given once; the order of asking decides it, so that a failing test fails alike again."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def next(self, kind: str) -> str:
        number, digits = next(self._numbers), ""
        while number or len(digits) < 6:
            number, digit = divmod(number, len(_DIGITS))
            digits = _DIGITS[digit] + digits
        return f"{kind}07A{digits}"
