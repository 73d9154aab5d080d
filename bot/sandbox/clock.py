"""The clock of the sandbox: real time plus what a test has moved it by."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Tells the time in UTC and wakes sleepers early when it is moved. Belongs to one event loop."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward; whoever sleeps past the new time wakes at once."""
        self._ahead += timedelta(seconds=seconds)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + timedelta(seconds=seconds))

    async def sleep_until(self, moment: datetime) -> None:
        while (seconds_left := (moment - self.now()).total_seconds()) > 0:
            moved = self._moved
            # Not `wait_for`: until Python 3.12 it swallows a cancellation that comes as the clock is moved.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_left):
                    await moved.wait()


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 with microseconds and a Z, as Replicate writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
