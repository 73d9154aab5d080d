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

from bot.core.jobs import Job
from bot.core.models import Model

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


# MERGED Who is next: a line for each model that allows few runs at once, one for all runs of this process, and one
# MERGED for each
# MERGED backend in front of the create that it lets through at its own pace. A job stands in them one after the
# MERGED other.
# MERGED With several processes each has its own lines, and its share of what a model allows.


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where somebody stands, 1 for the next, and how many runs go on at once in front; None where nobody knows."""

    number: int
    concurrency: int | None


class QueueSlot:
    """One job in its lines: `join` or `occupy`, `come` to its turn, and `leave` at the end from wherever it is."""

    def __init__(self, user_key: str, weight: int, queues: list[FairQueue], *, is_paced: bool = False) -> None:
        """`is_paced`: the line moves at a pace that only the backend knows."""
        self._user_key = user_key
        self._weight = weight
        self._queues = queues
        self._is_paced = is_paced
        self._entries: list[QueueEntry] = []

    @property
    def finish_time(self) -> float:
        """When it would be due if it joined now (see `Line.turn`)."""
        return self._queues[0].get_finish_time(self._user_key, self._weight)

    @property
    def is_granted(self) -> bool:
        """Whether it is at the front of its last line."""
        return len(self._entries) == len(self._queues) and self._entries[-1].granted.is_set()

    def join(self) -> None:
        """Stand in the first line from this very moment on. Harmless the second time."""
        if not self._entries:
            self._advance()

    def occupy(self) -> None:
        """For a job that runs already, as another process left it: it has its place, and waits for nobody."""
        self._entries = [line.occupy(self._user_key) for line in self._queues]

    async def wait(self) -> None:
        """Wait, in one line after the other."""
        while not self.is_granted:
            await self._entries[-1].granted.wait()
            self._advance()

    def get_position(self, now_seconds: float) -> QueuePosition | None:
        """Where it stands; None where that is not known yet, or it waits no more. `now` in seconds, on any clock."""
        line, ticket = self._queues[len(self._entries) - 1], self._entries[-1]
        number = None if ticket.granted.is_set() else line.get_position(ticket, now_seconds)
        return None if number is None else QueuePosition(number, None if self._is_paced else line.limit)

    def leave(self) -> None:
        """Give back what it has, and stand in no line any more. Harmless the second time."""
        for line, ticket in zip(self._queues, self._entries, strict=False):
            line.leave(ticket)

    def _advance(self) -> None:
        """Into the next line, and through every one where nobody waits."""
        while len(self._entries) < len(self._queues) and (not self._entries or self._entries[-1].granted.is_set()):
            self._entries.append(self._queues[len(self._entries)].join(self._user_key, self._weight))


class JobQueues:
    """`limit` runs at once in this process, and of each model as many as its catalogue entry says."""

    def __init__(self, limit: int) -> None:
        self._runs = FairQueue(limit)
        self._models: dict[str, FairQueue] = {}
        self._at_once: dict[str, int] = {}
        self._creates: dict[str, FairQueue] = {}
        self._process_index, self._process_count = 0, 1

    def slot_for_run(self, job: Job, model: Model) -> QueueSlot:
        """The way to a run of a job. It stands nowhere yet."""
        return QueueSlot(_get_user_key(job), job.weight, self._get_run_queues(model))

    def slot_for_create(self, job: Job) -> QueueSlot:
        """The way to the next create of its backend, which takes us as we come, whoever we are."""
        return QueueSlot(
            _get_user_key(job), job.weight, [self._creates.setdefault(job.backend, FairQueue(1))], is_paced=True
        )

    def set_process_share(self, process_index: int, process_count: int) -> None:
        """Divide what models allow among `processes`, of which this one has a `number` from 0."""
        if (process_index, process_count) == (self._process_index, self._process_count):
            return
        self._process_index, self._process_count = process_index, process_count
        for key, line in self._models.items():
            line.limit = compute_share(self._at_once[key], process_index, process_count)

    def _get_run_queues(self, model: Model) -> list[FairQueue]:
        if model.at_once is None:
            return [self._runs]
        if model.key not in self._models:
            self._at_once[model.key] = model.at_once
            self._models[model.key] = FairQueue(compute_share(model.at_once, self._process_index, self._process_count))
        return [self._models[model.key], self._runs]


def compute_share(at_once: int, process_index: int, process_count: int) -> int:
    """How many of `at_once` runs the process of this number may have: the remainder goes to the first ones.

    One at least, even where that makes some too many: a job must not wait for another process to end.
    """
    return max(1, at_once // process_count + (process_index < at_once % process_count))


def _get_user_key(job: Job) -> str:
    """A person, whichever workspace they ask in."""
    return f"{job.user.platform}:{job.user.id}"
