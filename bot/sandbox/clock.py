"""The clock of the sandbox: real time plus the seconds by which a test moved the clock."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Returns the time in UTC, and wakes sleepers early when a test moves the clock. Belongs to one event loop."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward; each sleeper whose time has come wakes at once."""
        self._ahead += timedelta(seconds=seconds)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + timedelta(seconds=seconds))

    async def sleep_until(self, moment: datetime) -> None:
        while (seconds_left := (moment - self.now()).total_seconds()) > 0:
            moved = self._moved
            # Not `wait_for`: until Python 3.12 `wait_for` swallows a cancellation during a move of the clock.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_left):
                    await moved.wait()


def format_timestamp(moment: datetime) -> str:
    """Format a time as Replicate does: RFC 3339 with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
