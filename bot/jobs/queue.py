"""Who is next: a line for each model that allows few runs at once, one for all runs of this process, and one for each
backend in front of the create that it lets through at its own pace. A job stands in them one after the other.

With several processes each has its own lines, and its share of what a model allows.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.core.jobs import Job
from bot.core.models import Model
from bot.jobs.line import Line


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands, 1 for the next, and how many runs go on at once in front of them."""

    number: int
    at_once: int


class Queue:
    """`limit` runs at once in this process, and of each model as many as its catalogue entry says."""

    def __init__(self, limit: int) -> None:
        self._runs = Line(limit)
        self._models: dict[str, Line] = {}
        self._at_once: dict[str, int] = {}
        self._creates: dict[str, Line] = {}
        self._number, self._processes = 0, 1

    def join(self, job: Job, model: Model) -> "Turn":
        """Stand in line, in this very moment, for a run of a job."""
        return Turn(_who(job), job.weight, self._lines(model))

    def occupy(self, job: Job, model: Model) -> "Turn":
        """For a job that runs already, as another process left it: it has its place, and takes it from nobody."""
        return Turn(_who(job), job.weight, self._lines(model), by_right=True)

    def turn(self, job: Job, model: Model) -> float:
        """When a job that joined now would be due (see `Line.turn`)."""
        return self._lines(model)[0].turn(_who(job), job.weight)

    @asynccontextmanager
    async def create(self, job: Job) -> AsyncIterator[None]:
        """Be the one who waits for the next create of the job's backend: it lets people through as they come."""
        line = self._creates.setdefault(job.backend, Line(1))
        ticket = line.join(_who(job), job.weight)
        try:
            await ticket.called.wait()
            yield
        finally:
            line.leave(ticket)

    def share(self, number: int, processes: int) -> None:
        """Divide what models allow among `processes`, of which this one has a `number` from 0."""
        self._number, self._processes = number, processes
        for key, line in self._models.items():
            line.limit = share_of(self._at_once[key], number, processes)

    def _lines(self, model: Model) -> list[Line]:
        if model.at_once is None:
            return [self._runs]
        if model.key not in self._models:
            self._at_once[model.key] = model.at_once
            self._models[model.key] = Line(share_of(model.at_once, self._number, self._processes))
        return [self._models[model.key], self._runs]


class Turn:
    """One job's way through its lines. It ends with `leave`, from wherever it is."""

    def __init__(self, who: str, weight: int, lines: list[Line], *, by_right: bool = False) -> None:
        self._who = who
        self._weight = weight
        self._lines = lines
        self._tickets = [line.occupy(who) for line in lines] if by_right else [lines[0].join(who, weight)]

    @property
    def has_come(self) -> bool:
        """Whether the job may run. Goes on to the next line where it can."""
        while self._tickets[-1].called.is_set():
            if len(self._tickets) == len(self._lines):
                return True
            self._tickets.append(self._lines[len(self._tickets)].join(self._who, self._weight))
        return False

    @property
    def next_call(self) -> asyncio.Event:
        """What to wait for before `has_come` is asked again."""
        return self._tickets[-1].called

    def place(self, now: float) -> Place | None:
        """Where it stands just now; None for what is not known yet. `now` in seconds, on any clock that goes forward."""
        line, ticket = self._lines[len(self._tickets) - 1], self._tickets[-1]
        number = line.place(ticket, now)
        return None if number is None else Place(number, line.limit)

    def leave(self) -> None:
        """Give back what it has, and stand in no line any more. Harmless the second time."""
        for line, ticket in reversed(list(zip(self._lines, self._tickets, strict=False))):
            line.leave(ticket)


def share_of(at_once: int, number: int, processes: int) -> int:
    """How many of `at_once` runs the process of this number may have: the remainder goes to the first ones.

    One at least, even where that makes one too many: a job must not wait for a process that has none like it.
    """
    return max(1, at_once // processes + (number < at_once % processes))


def _who(job: Job) -> str:
    """A person, whichever workspace they ask in."""
    return f"{job.user.platform}:{job.user.id}"

