"""The order of jobs: a queue for each model that allows few runs at once, one for all runs of this process, and one for
each backend in front of the creates, whose pace the backend sets.

A job passes through its queues one after the other. With several processes each has queues of its own, and a share of
the runs that a model allows.
"""

from dataclasses import dataclass

from bot.core.fair_queue import FairQueue, QueueEntry
from bot.core.jobs import Job
from bot.core.models import Model


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
        return None if number is None else QueuePosition(number, None if self._is_paced else int(line.limit))

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
