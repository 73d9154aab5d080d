"""One line with a number of places: who waits in it is served in turn, by weight, whoever asked how much.

Weighted fair queueing in virtual time. The line's clock goes forward by one turn divided by the weight of all who want
one. A person's next turn is due when their last one is paid off: one turn of the clock later, divided by their weight,
and never earlier than now. Whoever is due first is served; turns due together go by arrival. So a newcomer stands
behind one turn of each other person at most, and nobody who waits is overtaken for ever.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

MIN_WEIGHT = 0.1
"""What a weight of zero counts: last, but not never."""

POSITION_CACHE_SECONDS = 1.0
"""Counting who stands where goes through the whole line: once a second is enough for everybody."""


@dataclass(eq=False, slots=True)
class QueueEntry:
    """A place in the line, or, once `called` is set, one of those at the front."""

    user_key: str
    weight: float
    arrival_number: int
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    has_left: bool = False


@dataclass(slots=True)
class _WaitingUser:
    """Somebody who waits: their tickets in order, and when the first is due."""

    finish_time: float
    entries: deque[QueueEntry]

    def next_finish_time(self, clock: float) -> float:
        """When the next is due, the first being served while the line's clock stands so."""
        return max(self.finish_time + 1 / self.entries[0].weight, clock)


class FairQueue:
    """`limit` at the front at once. Nothing here waits: who joins gets a ticket, and leaves with it at the end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._active_count = 0
        self._virtual_time = 0.0
        self._waiting_users: dict[str, _WaitingUser] = {}
        self._finish_times: dict[str, float] = {}
        """When the next turn of those is due who were served a while ago and have nothing waiting."""
        self._numbers = count()
        self._positions: dict[int, int] = {}
        self._counted_at = float("-inf")

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """A lower limit takes no place from anybody: fewer are called from now on."""
        self._limit = limit
        self._grant()

    @property
    def active_count(self) -> int:
        """How many are at the front."""
        return self._active_count

    @property
    def waiting_count(self) -> int:
        return sum(len(person.entries) for person in self._waiting_users.values())

    def join(self, user_key: str, weight: float = 1) -> QueueEntry:
        """Stand in line, or be called at once where there is room."""
        ticket = QueueEntry(user_key, max(weight, MIN_WEIGHT), next(self._numbers))
        person = self._waiting_users.get(user_key)
        if person is None:
            due = max(self._finish_times.pop(user_key, self._virtual_time), self._virtual_time)
            person = self._waiting_users[user_key] = _WaitingUser(due, deque())
        person.entries.append(ticket)
        self._grant()
        return ticket

    def occupy(self, user_key: str) -> QueueEntry:
        """A place at the front by right, also beyond the limit: for what runs already."""
        ticket = QueueEntry(user_key, 1, next(self._numbers))
        ticket.granted.set()
        self._active_count += 1
        return ticket

    def leave(self, entry: QueueEntry) -> None:
        """Give the place back, in line or at the front. Leaving the line costs nothing. Harmless the second time."""
        if entry.has_left:
            return
        entry.has_left = True
        if entry.granted.is_set():
            self._active_count -= 1
            self._grant()
            return
        person = self._waiting_users[entry.user_key]
        person.entries.remove(entry)
        if not person.entries:
            self._forget(entry.user_key, person.finish_time)

    def get_finish_time(self, user_key: str, weight: float = 1) -> float:
        """When on the line's clock somebody who joined now would be due. What keeps the order across a restart."""
        person = self._waiting_users.get(user_key)
        if person is None:
            return max(self._finish_times.get(user_key, self._virtual_time), self._virtual_time)
        return person.finish_time + len(person.entries) / max(weight, MIN_WEIGHT)

    def get_position(self, entry: QueueEntry, now_seconds: float) -> int | None:
        """How many are called before it does not have to wait any more, 1 for the next; a little late, and None for
        one that joined a moment ago. `now` in seconds."""
        if now_seconds - self._counted_at >= POSITION_CACHE_SECONDS:
            self._positions = {waiting.arrival_number: n for n, waiting in enumerate(self.iterate_waiting(), 1)}
            self._counted_at = now_seconds
        return self._positions.get(entry.arrival_number)

    def iterate_waiting(self) -> Iterator[QueueEntry]:
        """Those who wait, as they would be called if nobody else came."""
        people = [_WaitingUser(person.finish_time, deque(person.entries)) for person in self._waiting_users.values()]
        heap = [(person.finish_time, person.entries[0].arrival_number, person) for person in people]
        heapq.heapify(heap)
        weights = sum(person.entries[0].weight for person in people)
        clock = self._virtual_time
        while heap:
            _, _, person = heapq.heappop(heap)
            clock += 1 / weights
            person.finish_time = person.next_finish_time(clock)
            ticket = person.entries.popleft()
            weights -= ticket.weight
            yield ticket
            if person.entries:
                weights += person.entries[0].weight
                heapq.heappush(heap, (person.finish_time, person.entries[0].arrival_number, person))

    def _grant(self) -> None:
        while self._waiting_users and self._active_count < self._limit:
            who, person = min(
                self._waiting_users.items(), key=lambda item: (item[1].finish_time, item[1].entries[0].arrival_number)
            )
            self._virtual_time += 1 / sum(each.entries[0].weight for each in self._waiting_users.values())
            person.finish_time = person.next_finish_time(self._virtual_time)
            ticket = person.entries.popleft()
            if not person.entries:
                self._forget(who, person.finish_time)
            self._active_count += 1
            ticket.granted.set()

    def _forget(self, who: str, due: float) -> None:
        """Somebody has nothing waiting any more. That they had their turn counts as long as it is not paid off."""
        del self._waiting_users[who]
        if not self._waiting_users:  # nobody waited for what they had
            self._finish_times.clear()
            return
        self._finish_times[who] = due
        if len(self._finish_times) > 2 * len(self._waiting_users) + 64:
            self._finish_times = {known: at for known, at in self._finish_times.items() if at > self._virtual_time}
