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

LIGHTEST = 0.1
"""What a weight of zero counts: last, but not never."""

SECONDS_BETWEEN_COUNTS = 1.0
"""Counting who stands where goes through the whole line: once a second is enough for everybody."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the line, or, once `called` is set, one of those at the front."""

    who: str
    weight: float
    number: int
    called: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False


@dataclass(slots=True)
class _Person:
    """Somebody who waits: their tickets in order, and when the first is due."""

    due: float
    tickets: deque[Ticket]

    def paid_off(self, clock: float) -> float:
        """When the next is due, the first being served while the line's clock stands so."""
        return max(self.due + 1 / self.tickets[0].weight, clock)


class Line:
    """`limit` at the front at once. Nothing here waits: who joins gets a ticket, and leaves with it at the end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._served = 0
        self._clock = 0.0
        self._people: dict[str, _Person] = {}
        self._due: dict[str, float] = {}
        """When the next turn of those is due who were served a while ago and have nothing waiting."""
        self._numbers = count()
        self._places: dict[int, int] = {}
        self._counted_at = float("-inf")

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """A lower limit takes no place from anybody: fewer are called from now on."""
        self._limit = limit
        self._call()

    @property
    def served(self) -> int:
        """How many are at the front."""
        return self._served

    @property
    def waiting(self) -> int:
        return sum(len(person.tickets) for person in self._people.values())

    def join(self, who: str, weight: float = 1) -> Ticket:
        """Stand in line, or be called at once where there is room."""
        ticket = Ticket(who, max(weight, LIGHTEST), next(self._numbers))
        person = self._people.get(who)
        if person is None:
            due = max(self._due.pop(who, self._clock), self._clock)
            person = self._people[who] = _Person(due, deque())
        person.tickets.append(ticket)
        self._call()
        return ticket

    def occupy(self, who: str) -> Ticket:
        """A place at the front by right, also beyond the limit: for what runs already."""
        ticket = Ticket(who, 1, next(self._numbers))
        ticket.called.set()
        self._served += 1
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give the place back, in line or at the front. Leaving the line costs nothing. Harmless the second time."""
        if ticket.is_over:
            return
        ticket.is_over = True
        if ticket.called.is_set():
            self._served -= 1
            self._call()
            return
        person = self._people[ticket.who]
        person.tickets.remove(ticket)
        if not person.tickets:
            self._forget(ticket.who, person.due)

    def turn(self, who: str, weight: float = 1) -> float:
        """When on the line's clock somebody who joined now would be due. What keeps the order across a restart."""
        person = self._people.get(who)
        if person is None:
            return max(self._due.get(who, self._clock), self._clock)
        return person.due + len(person.tickets) / max(weight, LIGHTEST)

    def place(self, ticket: Ticket, now: float) -> int | None:
        """How many are called before it does not have to wait any more, 1 for the next; a little late, and None for
        one that joined a moment ago. `now` in seconds."""
        if now - self._counted_at >= SECONDS_BETWEEN_COUNTS:
            self._places = {waiting.number: n for n, waiting in enumerate(self.order(), 1)}
            self._counted_at = now
        return self._places.get(ticket.number)

    def order(self) -> Iterator[Ticket]:
        """Those who wait, as they would be called if nobody else came."""
        people = [_Person(person.due, deque(person.tickets)) for person in self._people.values()]
        heap = [(person.due, person.tickets[0].number, person) for person in people]
        heapq.heapify(heap)
        weights = sum(person.tickets[0].weight for person in people)
        clock = self._clock
        while heap:
            _, _, person = heapq.heappop(heap)
            clock += 1 / weights
            person.due = person.paid_off(clock)
            ticket = person.tickets.popleft()
            weights -= ticket.weight
            yield ticket
            if person.tickets:
                weights += person.tickets[0].weight
                heapq.heappush(heap, (person.due, person.tickets[0].number, person))

    def _call(self) -> None:
        while self._people and self._served < self._limit:
            who, person = min(self._people.items(), key=lambda item: (item[1].due, item[1].tickets[0].number))
            self._clock += 1 / sum(each.tickets[0].weight for each in self._people.values())
            person.due = person.paid_off(self._clock)
            ticket = person.tickets.popleft()
            if not person.tickets:
                self._forget(who, person.due)
            self._served += 1
            ticket.called.set()

    def _forget(self, who: str, due: float) -> None:
        """Somebody has nothing waiting any more. That they had their turn counts as long as it is not paid off."""
        del self._people[who]
        if not self._people:  # nobody waited for what they had
            self._due.clear()
            return
        self._due[who] = due
        if len(self._due) > 2 * len(self._people) + 64:
            self._due = {known: at for known, at in self._due.items() if at > self._clock}
