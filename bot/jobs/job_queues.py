"""Queues jobs: per model and per backend with a limit, for all runs of this process, and per backend for the creates.

A job passes through the queues in this order. Each process has separate queues, and a share of each model's limit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.fair_queue import FairQueue, QueueEntry
from bot.core.jobs import Job
from bot.core.models import Model


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A job's place in a queue, 1 for the next."""

    number: int
    concurrency: int | None
    """The runs at once in front of the queue; None if the backend sets the pace."""


class QueueSlot:
    """The way of a job through the queues: `join` or `occupy`, `wait`, and at the end `leave`, from any point."""

    def __init__(self, user_key: str, weight: int, queues: list[FairQueue], *, is_paced: bool = False) -> None:
        """`is_paced`: only the backend knows the pace of the queue."""
        self._user_key = user_key
        self._weight = weight
        self._queues = queues
        self._is_paced = is_paced
        self._entries: list[QueueEntry] = []

    @property
    def finish_time(self) -> float:
        """The virtual time at which a job joining now would be due (`FairQueue.get_finish_time`)."""
        return self._queues[0].get_finish_time(self._user_key, self._weight)

    @property
    def is_granted(self) -> bool:
        """Whether the last queue granted the job a place."""
        return len(self._entries) == len(self._queues) and self._entries[-1].granted.is_set()

    def join(self) -> None:
        """Join the first queue now. Harmless the second time."""
        if not self._entries:
            self._advance()

    def occupy(self) -> None:
        """Take a place in all queues at once, also beyond their limits: the job runs already, for a dead worker."""
        self._entries = [queue.occupy(self._user_key) for queue in self._queues]

    async def wait(self) -> None:
        """Wait in one queue after the other."""
        while not self.is_granted:
            await self._entries[-1].granted.wait()
            self._advance()

    def get_position(self, now_seconds: float) -> QueuePosition | None:
        """Return the place in the current queue; `None` if granted or not counted yet. `now_seconds` on any clock."""
        queue, entry = self._queues[len(self._entries) - 1], self._entries[-1]
        number = None if entry.granted.is_set() else queue.get_position(entry, now_seconds)
        return None if number is None else QueuePosition(number, None if self._is_paced else int(queue.limit))

    def leave(self) -> None:
        """Leave all queues. Harmless the second time."""
        for queue, entry in zip(self._queues, self._entries, strict=False):
            queue.leave(entry)

    def move(self, queues: list[FairQueue]) -> bool:
        """Leave the queues for others; return False, and stay, if these are the slot's queues already."""
        if queues == self._queues:
            return False
        self.leave()
        self._queues, self._entries = queues, []
        return True

    def _advance(self) -> None:
        """Join the next queues, as long as each grants a place at once."""
        while len(self._entries) < len(self._queues) and (not self._entries or self._entries[-1].granted.is_set()):
            self._entries.append(self._queues[len(self._entries)].join(self._user_key, self._weight))


class JobQueues:
    """The queues of this process: `limit` runs at once, per model and per backend the limits of the catalogue file."""

    def __init__(self, limit: int, backend_limits: Mapping[str, int] | None = None) -> None:
        """`backend_limits` are the maximum numbers of simultaneous runs, by the name of the backend."""
        self._runs = FairQueue(limit)
        self._backend_limits = backend_limits or {}
        self._limited: dict[tuple[str, str], FairQueue] = {}
        self._at_once: dict[tuple[str, str], int] = {}
        self._creates: dict[str, FairQueue] = {}
        self._process_index, self._process_count = 0, 1

    def slot_for_run(self, job: Job, model: Model) -> QueueSlot:
        """Return a slot for the run of a job, not joined yet."""
        return QueueSlot(_get_user_key(job), job.weight, self._get_run_queues(model))

    def move(self, slot: QueueSlot, model: Model) -> bool:
        """Move a slot to the queues of another model; return False if the slot passes through these already."""
        return slot.move(self._get_run_queues(model))

    def slot_for_create(self, job: Job) -> QueueSlot:
        """Return a slot for the create of a job, not joined yet."""
        # The backend's own limiter serves creates first come, first served: one job at a time waits there, so that
        # the users' shares are decided here.
        queue = self._creates.setdefault(job.backend, FairQueue(1))
        return QueueSlot(_get_user_key(job), job.weight, [queue], is_paced=True)

    def count_rounds(self, model: Model) -> int:
        """Return how many runs end one after another before a new job of a model begins; 0 where there is room."""
        rounds = [
            (queue.waiting_count + queue.active_count) // max(1, int(queue.limit))
            for queue in self._get_run_queues(model)
            if queue.limit < math.inf
        ]
        return max(rounds, default=0)

    def set_process_share(self, process_index: int, process_count: int) -> None:
        """Divide the limits of models and backends among `process_count` processes; `process_index` counts from 0."""
        if (process_index, process_count) == (self._process_index, self._process_count):
            return
        self._process_index, self._process_count = process_index, process_count
        for key, queue in self._limited.items():
            queue.limit = compute_share(self._at_once[key], process_index, process_count)

    def _get_run_queues(self, model: Model) -> list[FairQueue]:
        limits = {
            ("model", model.key): model.at_once,
            ("backend", model.backend): self._backend_limits.get(model.backend),
        }
        return [*(self._get_queue(key, at_once) for key, at_once in limits.items() if at_once), self._runs]

    def _get_queue(self, key: tuple[str, str], at_once: int) -> FairQueue:
        if key not in self._limited:
            self._at_once[key] = at_once
            self._limited[key] = FairQueue(compute_share(at_once, self._process_index, self._process_count))
        return self._limited[key]


def compute_share(at_once: int, process_index: int, process_count: int) -> int:
    """Return a process's share of `at_once` runs; the remainder goes to the first processes."""
    # At least 1, even if the sum exceeds the limit: a job must not wait for another process to end.
    return max(1, at_once // process_count + (process_index < at_once % process_count))


def _get_user_key(job: Job) -> str:
    # Without the workspace: a user of two workspaces gets a single share.
    return f"{job.user.platform}:{job.user.id}"
