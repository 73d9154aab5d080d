"""Who is next: a line for each model that allows few runs at once, one for all runs of this process, and one for each
backend in front of the create that it lets through at its own pace. A job stands in them one after the other.

With several processes each has its own lines, and its share of what a model allows.
"""

from dataclasses import dataclass

from bot.core.jobs import Job
from bot.core.models import Model
from bot.jobs.line import Line, Ticket


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands, 1 for the next, and how many runs go on at once in front; None where nobody knows."""

    number: int
    at_once: int | None


class Turn:
    """One job in its lines: `join` or `occupy`, `come` to its turn, and `leave` at the end from wherever it is."""

    def __init__(self, who: str, weight: int, lines: list[Line], *, is_paced: bool = False) -> None:
        """`is_paced`: the line moves at a pace that only the backend knows."""
        self._who = who
        self._weight = weight
        self._lines = lines
        self._is_paced = is_paced
        self._tickets: list[Ticket] = []

    @property
    def due(self) -> float:
        """When it would be due if it joined now (see `Line.turn`)."""
        return self._lines[0].turn(self._who, self._weight)

    @property
    def has_come(self) -> bool:
        """Whether it is at the front of its last line."""
        return len(self._tickets) == len(self._lines) and self._tickets[-1].called.is_set()

    def join(self) -> None:
        """Stand in the first line from this very moment on. Harmless the second time."""
        if not self._tickets:
            self._go_on()

    def occupy(self) -> None:
        """For a job that runs already, as another process left it: it has its place, and waits for nobody."""
        self._tickets = [line.occupy(self._who) for line in self._lines]

    async def come(self) -> None:
        """Wait, in one line after the other."""
        while not self.has_come:
            await self._tickets[-1].called.wait()
            self._go_on()

    def where(self, now: float) -> Place | None:
        """Where it stands; None where that is not known yet, or it waits no more. `now` in seconds, on any clock."""
        line, ticket = self._lines[len(self._tickets) - 1], self._tickets[-1]
        number = None if ticket.called.is_set() else line.place(ticket, now)
        return None if number is None else Place(number, None if self._is_paced else line.limit)

    def leave(self) -> None:
        """Give back what it has, and stand in no line any more. Harmless the second time."""
        for line, ticket in zip(self._lines, self._tickets, strict=False):
            line.leave(ticket)

    def _go_on(self) -> None:
        """Into the next line, and through every one where nobody waits."""
        while len(self._tickets) < len(self._lines) and (not self._tickets or self._tickets[-1].called.is_set()):
            self._tickets.append(self._lines[len(self._tickets)].join(self._who, self._weight))


class Queue:
    """`limit` runs at once in this process, and of each model as many as its catalogue entry says."""

    def __init__(self, limit: int) -> None:
        self._runs = Line(limit)
        self._models: dict[str, Line] = {}
        self._at_once: dict[str, int] = {}
        self._creates: dict[str, Line] = {}
        self._number, self._processes = 0, 1

    def run(self, job: Job, model: Model) -> Turn:
        """The way to a run of a job. It stands nowhere yet."""
        return Turn(_who(job), job.weight, self._lines(model))

    def create(self, job: Job) -> Turn:
        """The way to the next create of its backend, which takes us as we come, whoever we are."""
        return Turn(_who(job), job.weight, [self._creates.setdefault(job.backend, Line(1))], is_paced=True)

    def share(self, number: int, processes: int) -> None:
        """Divide what models allow among `processes`, of which this one has a `number` from 0."""
        if (number, processes) == (self._number, self._processes):
            return
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


def share_of(at_once: int, number: int, processes: int) -> int:
    """How many of `at_once` runs the process of this number may have: the remainder goes to the first ones.

    One at least, even where that makes some too many: a job must not wait for another process to end.
    """
    return max(1, at_once // processes + (number < at_once % processes))


def _who(job: Job) -> str:
    """A person, whichever workspace they ask in."""
    return f"{job.user.platform}:{job.user.id}"
