"""Slack's clock and its ids: real time, which tests can advance."""

import asyncio
import time
from itertools import count


class SlackClock:
    """`now` equals `time.monotonic()` until the first `advance`: benchmarks compare both."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = asyncio.Event()
        self._last_stamp = 0

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def get_epoch_seconds(self) -> float:
        """Return Unix seconds, advanced like `now`."""
        return time.time() + self._ahead

    def next_timestamp(self) -> str:
        """Return a new `ts` for a message, greater than all earlier values."""
        self._last_stamp = max(self._last_stamp + 1, int(self.get_epoch_seconds() * 1_000_000))
        seconds, micros = divmod(self._last_stamp, 1_000_000)
        return f"{seconds}.{micros:06}"

    def advance(self, seconds: float) -> None:
        """Skip `seconds` and wake the sleepers that are due."""
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


_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SlackIdGenerator:
    """Issues unique ids: a letter for the kind, then capitals and digits. Ids follow the order of calls, so that a
    failing test fails again with the same ids.
    """

    def __init__(self) -> None:
        self._numbers = count(1)

    def next(self, kind: str) -> str:
        number, digits = next(self._numbers), ""
        while number or len(digits) < 6:
            number, digit = divmod(number, len(_DIGITS))
            digits = _DIGITS[digit] + digits
        return f"{kind}07A{digits}"
