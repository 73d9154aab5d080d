"""The one waiting line of the bot: limited entries at once, fair between keys by weight, urgent entries first.

Weighted fair queueing in virtual time. The queue's clock advances with each grant by one turn divided by the weight of
all waiting keys. A key's next entry is due one turn of the clock divided by the key's weight after its last entry, and
never earlier than now. The earliest due entry is granted; entries due together are granted by arrival. So a newcomer
waits for one entry of each other key at most, and no waiting entry is overtaken for ever. All entries of one priority
under one key are granted first come, first served.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from bot.core.clock import Clock

MIN_WEIGHT = 0.1
"""A key of weight zero is granted last, not never."""

POSITION_CACHE_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class QueueEntry:
    """A place in the queue: waiting until `granted` is set, active from then on until the entry leaves."""

    key: str
    weight: float
    priority: int
    arrival_number: int
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    has_left: bool = False


@dataclass(slots=True)
class _Flow:
    """The waiting entries of one key and priority in order of arrival, and the virtual time of the last grant."""

    finish_time: float
    entries: deque[QueueEntry]

    def next_finish_time(self, clock: float) -> float:
        """Return the virtual finish time of the first entry if the entry is granted at `clock`."""
        return max(self.finish_time + 1 / self.entries[0].weight, clock)


_FlowId = tuple[int, str]
"""Priority and key."""


class FairQueue:
    """Grants at most `limit` entries at once. Lower priority numbers go first; within a priority the keys share fairly.

    `join` and `leave` never wait, so that a caller may show an entry's position; `hold` waits and is safe to cancel.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self._limit = limit
        self._active_count = 0
        self._virtual_time = 0.0
        self._flows: dict[_FlowId, _Flow] = {}
        # Finish times of keys that were granted an entry and wait for nothing now: rejoining must not jump the queue.
        self._finish_times: dict[_FlowId, float] = {}
        self._numbers = count()
        self._positions: dict[int, int] = {}
        self._positions_counted_at = float("-inf")

    @property
    def limit(self) -> float:
        return self._limit

    @limit.setter
    def limit(self, limit: float) -> None:
        """Set the limit. A lower limit takes no place from active entries: fewer are granted from now on."""
        self._limit = limit
        self._grant()

    @property
    def active_count(self) -> int:
        return self._active_count

    @property
    def waiting_count(self) -> int:
        return sum(len(flow.entries) for flow in self._flows.values())

    @asynccontextmanager
    async def hold(self, key: str = "", weight: float = 1, *, priority: int = 0) -> AsyncIterator[QueueEntry]:
        """Wait for a grant and hold the entry for the duration of the block."""
        entry = self.join(key, weight, priority=priority)
        try:
            await entry.granted.wait()
            yield entry
        finally:
            # A cancellation may arrive after the grant: leaving passes the place on in either case.
            self.leave(entry)

    def join(self, key: str = "", weight: float = 1, *, priority: int = 0) -> QueueEntry:
        """Add an entry, granted at once where there is room. Every entry must `leave` in the end."""
        entry = QueueEntry(key, max(weight, MIN_WEIGHT), priority, next(self._numbers))
        flow_id = (priority, key)
        flow = self._flows.get(flow_id)
        if flow is None:
            due = max(self._finish_times.pop(flow_id, self._virtual_time), self._virtual_time)
            flow = self._flows[flow_id] = _Flow(due, deque())
        flow.entries.append(entry)
        self._grant()
        return entry

    def occupy(self, key: str) -> QueueEntry:
        """Add an active entry, also beyond the limit: for work that runs already."""
        entry = QueueEntry(key, 1, 0, next(self._numbers))
        entry.granted.set()
        self._active_count += 1
        return entry

    def leave(self, entry: QueueEntry) -> None:
        """Give an entry's place back. A waiting entry that leaves costs its key nothing. Harmless the second time."""
        if entry.has_left:
            return
        entry.has_left = True
        if entry.granted.is_set():
            self._active_count -= 1
        else:
            flow_id = (entry.priority, entry.key)
            flow = self._flows[flow_id]
            flow.entries.remove(entry)
            if not flow.entries:
                self._forget(flow_id, flow.finish_time)
        self._grant()

    def get_finish_time(self, key: str, weight: float = 1) -> float:
        """Return the virtual time at which a new entry of a key would be due. Stored, the times survive a restart."""
        flow = self._flows.get((0, key))
        if flow is None:
            return max(self._finish_times.get((0, key), self._virtual_time), self._virtual_time)
        return flow.finish_time + len(flow.entries) / max(weight, MIN_WEIGHT)

    def get_position(self, entry: QueueEntry, now_seconds: float) -> int | None:
        """Return an entry's place in the order of grants, 1 for the next, up to a second old; None for new entries."""
        # Counting walks the whole queue: once a second is enough for all readers together.
        if now_seconds - self._positions_counted_at >= POSITION_CACHE_SECONDS:
            self._positions = {waiting.arrival_number: n for n, waiting in enumerate(self.iterate_waiting(), 1)}
            self._positions_counted_at = now_seconds
        return self._positions.get(entry.arrival_number)

    def iterate_waiting(self) -> Iterator[QueueEntry]:
        """Yield the waiting entries in the order of their grants, provided that no further entry joins."""
        flows = [(flow_id[0], _Flow(flow.finish_time, deque(flow.entries))) for flow_id, flow in self._flows.items()]
        heap = [(priority, flow.finish_time, flow.entries[0].arrival_number, flow) for priority, flow in flows]
        heapq.heapify(heap)
        weights = sum(flow.entries[0].weight for _, flow in flows)
        clock = self._virtual_time
        while heap:
            priority, _, _, flow = heapq.heappop(heap)
            clock += 1 / weights
            flow.finish_time = flow.next_finish_time(clock)
            entry = flow.entries.popleft()
            weights -= entry.weight
            yield entry
            if flow.entries:
                weights += flow.entries[0].weight
                heapq.heappush(heap, (priority, flow.finish_time, flow.entries[0].arrival_number, flow))

    def _grant(self) -> None:
        """Grant entries as long as there is room."""
        while self._flows and self._active_count < self._limit:
            self._grant_first(self._find_first_flow())

    def _find_first_flow(self) -> _FlowId:
        flows = self._flows
        return min(flows, key=lambda i: (i[0], flows[i].finish_time, flows[i].entries[0].arrival_number))

    def _grant_first(self, flow_id: _FlowId) -> QueueEntry:
        """Grant the first entry of a flow, and return the entry."""
        flow = self._flows[flow_id]
        self._virtual_time += 1 / sum(each.entries[0].weight for each in self._flows.values())
        flow.finish_time = flow.next_finish_time(self._virtual_time)
        entry = flow.entries.popleft()
        if not flow.entries:
            self._forget(flow_id, flow.finish_time)
        self._active_count += 1
        entry.granted.set()
        return entry

    def _forget(self, flow_id: _FlowId, finish_time: float) -> None:
        """Remove an empty flow, but remember its finish time while other keys wait."""
        del self._flows[flow_id]
        if not self._flows:  # no other key waited for the granted entries
            self._finish_times.clear()
            return
        self._finish_times[flow_id] = finish_time
        if len(self._finish_times) > 2 * len(self._flows) + 64:
            self._finish_times = {known: at for known, at in self._finish_times.items() if at > self._virtual_time}


class Pace(Protocol):
    """The rate at which a paced queue grants entries."""

    def seconds_until_next(self, entry: QueueEntry) -> float | None:
        """Return the seconds until the queue may grant its first entry.

        0 is now; None is not before an active entry leaves or the queue is told to `reconsider`.
        """
        ...

    def record_grant(self, entry: QueueEntry) -> None:
        """Spend one grant."""
        ...


class PacedQueue(FairQueue):
    """A fair queue whose first entry also waits for a pace, which replies of another system may change."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        super().__init__()
        self._clock = clock
        self._pace = pace
        self._timer: asyncio.Task[None] | None = None

    def reconsider(self) -> None:
        """Ask the pace again: its limits have changed."""
        self._grant()

    def _grant(self) -> None:
        """Grant entries as long as the pace allows; set a timer for the first entry that has to wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._flows:
            flow_id = self._find_first_flow()
            seconds = self._pace.seconds_until_next(self._flows[flow_id].entries[0])
            if seconds is None:
                return
            if seconds > 0:
                self._timer = asyncio.create_task(self._grant_after(seconds))
                return
            self._pace.record_grant(self._grant_first(flow_id))

    async def _grant_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None  # the timer must not cancel itself
        self._grant()
