"""The event log of one prediction: what its stream says, kept so that a reader can resume."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class SandboxStreamEvent:
    """One server-sent event. `id` is `<unix seconds>:<sequence>`; error and done have none."""

    name: str
    data: str
    id: str = ""


class SandboxEventLog:
    def __init__(self) -> None:
        self._events: list[SandboxStreamEvent] = []
        self._second = 0
        self._sequence = 0
        self._grown = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def append(self, name: str, data: str, unix_seconds: int) -> None:
        """Add an event with an id."""
        self._sequence = self._sequence + 1 if unix_seconds == self._second else 0
        self._second = unix_seconds
        self._add(SandboxStreamEvent(name, data, f"{unix_seconds}:{self._sequence}"))

    def close(self, name: str, data: str) -> None:
        """Add an error or done event, which carry no id."""
        self._add(SandboxStreamEvent(name, data))

    def clear(self) -> None:
        self._events.clear()

    def read_from(self, position: int) -> list[SandboxStreamEvent]:
        return self._events[position:]

    def find_position_after(self, event_id: str | None) -> int:
        """Where to go on reading after `event_id`; 0, the start, when it is absent or unknown."""
        for position, event in enumerate(self._events, start=1):
            if event_id and event.id == event_id:
                return position
        return 0

    async def wait_beyond(self, position: int) -> None:
        while len(self._events) <= position:
            await self._grown.wait()

    def _add(self, event: SandboxStreamEvent) -> None:
        self._events.append(event)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
