"""FairQueue and PacedQueue: fair by weight, never above the limit, never idle with waiting entries."""

import asyncio
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.core.fair_queue import FairQueue, PacedQueue, QueueEntry
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle

KEYS = ("ana", "ben", "cleo", "dora")


def serve(queue: FairQueue, entries: list[QueueEntry], runs: int | None = None) -> list[str]:
    """Return the keys in the order of their grants, as the active entries leave one after another."""
    running = [entry for entry in entries if entry.granted.is_set()]
    order: list[str] = []
    while running and (runs is None or len(order) < runs):
        before = [entry for entry in entries if not entry.granted.is_set()]
        queue.leave(running.pop(0))
        granted = [entry for entry in before if entry.granted.is_set()]
        order += [entry.key for entry in granted]
        running += granted
    return order


def test_a_newcomer_waits_for_one_entry_of_a_key_with_hundreds() -> None:
    queue = FairQueue(3)
    entries = [queue.join("ana") for _ in range(500)]
    serve(queue, entries, runs=40)

    newcomer = queue.join("ben")
    order = serve(queue, [*entries, newcomer], runs=5)

    assert order.index("ben") <= 1


def test_keys_take_turns_regardless_of_their_number_of_entries() -> None:
    queue = FairQueue(1)
    entries = [queue.join(key) for key in ("ana", "ana", "ana", "ana", "ben", "cleo", "ben")]

    assert serve(queue, entries) == ["ana", "ben", "cleo", "ana", "ben", "ana"]


def test_a_weight_of_three_gets_three_grants_for_one() -> None:
    queue = FairQueue(1)
    entries = [queue.join(key, weight) for _ in range(100) for key, weight in (("ana", 3), ("ben", 1))]

    turns = Counter(serve(queue, entries, runs=80))

    assert turns["ana"] == pytest.approx(60, abs=2)


def test_a_weight_of_zero_waits_longest_but_not_for_ever() -> None:
    queue = FairQueue(1)
    entries = [queue.join("ana"), queue.join("ben", 0), queue.join("ben", 0), *(queue.join("ana") for _ in range(30))]

    turns = serve(queue, entries)

    assert turns[:2] == ["ben", "ana"]
    assert 5 < turns.index("ben", 1) < 15


def test_newcomers_do_not_overtake_an_entry_for_ever() -> None:
    queue = FairQueue(1)
    running = queue.join("somebody")
    first, second = queue.join("ana"), queue.join("ana")
    waiting = [queue.join(f"early{n}") for n in range(5)]

    for n in range(30):
        waiting.append(queue.join(f"late{n}"))
        queue.leave(running)
        running = next(t for t in [first, second, *waiting] if t.granted.is_set() and not t.has_left)
        if second.granted.is_set():
            break

    assert second.granted.is_set()
    assert n < 15


def test_a_lower_limit_keeps_active_entries_and_a_higher_limit_grants_at_once() -> None:
    queue = FairQueue(2)
    entries = [queue.join("ana") for _ in range(5)]

    queue.limit = 1
    queue.leave(entries[0])
    after_one = [entry.granted.is_set() for entry in entries]
    queue.limit = 3

    assert after_one == [True, True, False, False, False]
    assert [entry.granted.is_set() for entry in entries] == [True, True, True, True, False]


def test_an_occupied_place_counts_beyond_the_limit() -> None:
    queue = FairQueue(1)
    running = [queue.occupy("ana"), queue.occupy("ana")]
    newcomer = queue.join("ben")

    queue.leave(running[0])
    with_one_left = newcomer.granted.is_set()
    queue.leave(running[1])

    assert (with_one_left, newcomer.granted.is_set()) == (False, True)


def test_positions_are_counted_once_a_second() -> None:
    queue = FairQueue(1)
    queue.join("ana")
    first, second = queue.join("ana"), queue.join("ana")
    positions = [queue.get_position(first, 10), queue.get_position(second, 10)]
    newcomer = queue.join("ben")

    assert positions == [1, 2]
    assert queue.get_position(newcomer, 10.5) is None
    assert [queue.get_position(entry, 11.5) for entry in (first, newcomer, second)] == [1, 2, 3]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([0, 1, 2, 5])), max_size=40), st.integers(1, 4))
def test_entries_are_granted_in_the_iterated_order(requests: list[tuple[str, int]], limit: int) -> None:
    queue = FairQueue(limit)
    entries = [queue.join(key, weight) for key, weight in requests]

    expected = [entry.key for entry in queue.iterate_waiting()]

    assert serve(queue, entries) == expected


class FairQueueMachine(RuleBasedStateMachine):
    """Entries join, leave and are granted in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(2)
        self.waiting: list[QueueEntry] = []
        self.running: list[QueueEntry] = []
        self.ahead: dict[QueueEntry, Counter[str]] = {}
        """For the first entries of idle keys: the grants of each key since the entry joined."""

    @rule(key=st.sampled_from(KEYS), weight=st.sampled_from([0, 1, 1, 3]))
    def join(self, key: str, weight: int) -> None:
        is_new = key not in {entry.key for entry in self.waiting} and self.queue.get_finish_time(
            key
        ) == self.queue.get_finish_time("nobody")
        entry = self.queue.join(key, weight)
        self.waiting.append(entry)
        if is_new:
            self.ahead[entry] = Counter()
        self._move_granted()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self._leave(self.running, data)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        left = self._leave(self.waiting, data)
        assert not left.granted.is_set()

    @rule(limit=st.integers(1, 3))
    def change_limit(self, limit: int) -> None:
        self.queue.limit = limit
        self._move_granted()

    def _leave(self, entries: list[QueueEntry], data: st.DataObject) -> QueueEntry:
        entry = entries.pop(data.draw(st.integers(0, len(entries) - 1)))
        self.queue.leave(entry)
        self.queue.leave(entry)
        self.ahead.pop(entry, None)
        self._move_granted()
        return entry

    def _move_granted(self) -> None:
        granted = [entry for entry in self.waiting if entry.granted.is_set()]
        self.waiting = [entry for entry in self.waiting if not entry.granted.is_set()]
        self.running += granted
        for entry in granted:
            self.ahead.pop(entry, None)
        for turns in self.ahead.values():
            turns.update(entry.key for entry in granted)

    @invariant()
    def check_places(self) -> None:
        assert self.queue.active_count == len(self.running)
        assert self.queue.waiting_count == len(self.waiting)
        assert not self.waiting or self.queue.active_count >= self.queue.limit

    @invariant()
    def check_newcomers_wait(self) -> None:
        assert all(turns <= Counter(KEYS) for turns in self.ahead.values())


TestMachine = FairQueueMachine.TestCase


@given(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 5), min_size=2), st.integers(20, 200))
def test_keys_that_always_wait_get_grants_in_proportion_to_their_weights(weights: dict[str, int], runs: int) -> None:
    queue = FairQueue(1)
    entries = [queue.join(key, weight) for _ in range(runs + 1) for key, weight in weights.items()]

    turns = Counter(serve(queue, entries, runs))

    for key, weight in weights.items():
        share = Fraction(weight, sum(weights.values())) * runs
        assert abs(turns[key] - share) <= 3


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(-1, 2)), max_size=40), st.integers(1, 4))
def test_lower_priority_numbers_are_granted_first(requests: list[tuple[str, int]], limit: int) -> None:
    queue = FairQueue(limit)
    active = [queue.join("before") for _ in range(limit)]
    entries = [queue.join(key, priority=priority) for key, priority in requests]
    expected = [(entry.priority, entry.key) for entry in queue.iterate_waiting()]

    order = serve(queue, [*active, *entries])

    assert order == [key for _, key in expected]
    assert [priority for priority, _ in expected] == sorted(priority for _, priority in requests)


class ManualPace:
    """A pace that grants as many entries as the test allows."""

    def __init__(self) -> None:
        self.allowed = 0
        self.seconds: float | None = None

    def seconds_until_next(self, entry: QueueEntry) -> float | None:
        return 0.0 if self.allowed else self.seconds

    def record_grant(self, entry: QueueEntry) -> None:
        self.allowed -= 1


async def test_a_paced_queue_grants_on_reconsideration_and_after_the_named_seconds() -> None:
    clock, pace = ManualClock(), ManualPace()
    queue = PacedQueue(clock, pace)
    entries = [queue.join(priority=1), queue.join(priority=1), queue.join(priority=0)]
    assert not any(entry.granted.is_set() for entry in entries)

    pace.allowed = 1
    queue.reconsider()
    first = [entry.granted.is_set() for entry in entries]
    pace.seconds = 5
    queue.reconsider()
    await clock.advance(4.9)
    pace.allowed = 1
    before = [entry.granted.is_set() for entry in entries]
    await clock.advance(0.2)

    assert first == before == [False, False, True]
    assert [entry.granted.is_set() for entry in entries] == [True, False, True]
    queue.leave(entries[1])
    assert queue.waiting_count == 0


async def test_a_leaving_first_entry_lets_the_pace_decide_on_the_next() -> None:
    clock, pace = ManualClock(), ManualPace()
    queue = PacedQueue(clock, pace)
    cancelled, patient = queue.join(), queue.join()

    pace.allowed = 1
    queue.leave(cancelled)

    assert patient.granted.is_set()
    assert queue.active_count == 1


@pytest.mark.parametrize("is_granted", [False, True])
async def test_a_cancelled_hold_frees_its_place(is_granted: bool) -> None:
    queue = FairQueue(1)
    first = queue.join()

    async def hold() -> None:
        async with queue.hold():
            await asyncio.Event().wait()

    cancelled, patient = asyncio.create_task(hold()), asyncio.create_task(hold())
    await settle()
    if is_granted:
        queue.leave(first)
    cancelled.cancel()
    await settle()
    queue.leave(first)
    await settle()

    assert (queue.active_count, queue.waiting_count) == (1, 0)
    patient.cancel()
    await asyncio.gather(cancelled, patient, return_exceptions=True)
    assert queue.active_count == 0
