"""The line alone: fair by weight, never over its limit, never idle while somebody waits, and leaving costs nothing."""

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

PEOPLE = ("ana", "ben", "cleo", "dora")


def served(line: FairQueue, tickets: list[QueueEntry], runs: int | None = None) -> list[str]:
    """Who is called, one after the other, as each run ends."""
    running = [ticket for ticket in tickets if ticket.granted.is_set()]
    order: list[str] = []
    while running and (runs is None or len(order) < runs):
        before = [ticket for ticket in tickets if not ticket.granted.is_set()]
        line.leave(running.pop(0))
        called = [ticket for ticket in before if ticket.granted.is_set()]
        order += [ticket.key for ticket in called]
        running += called
    return order


def test_one_job_waits_for_one_of_a_person_who_has_hundreds() -> None:
    line = FairQueue(3)
    tickets = [line.join("ana") for _ in range(500)]
    served(line, tickets, runs=40)

    mine = line.join("ben")
    order = served(line, [*tickets, mine], runs=5)

    assert order.index("ben") <= 1


def test_people_take_turns_whoever_asked_how_much() -> None:
    line = FairQueue(1)
    tickets = [line.join(who) for who in ("ana", "ana", "ana", "ana", "ben", "cleo", "ben")]

    assert served(line, tickets) == ["ana", "ben", "cleo", "ana", "ben", "ana"]


def test_a_weight_of_three_gets_three_turns_for_one() -> None:
    line = FairQueue(1)
    tickets = [line.join(who, weight) for _ in range(100) for who, weight in (("ana", 3), ("ben", 1))]

    turns = Counter(served(line, tickets, runs=80))

    assert turns["ana"] == pytest.approx(60, abs=2)


def test_a_weight_of_nothing_waits_longest_but_not_for_ever() -> None:
    line = FairQueue(1)
    tickets = [line.join("ana"), line.join("ben", 0), line.join("ben", 0), *(line.join("ana") for _ in range(30))]

    turns = served(line, tickets)

    assert turns[:2] == ["ben", "ana"]
    assert 5 < turns.index("ben", 1) < 15


def test_newcomers_do_not_overtake_for_ever() -> None:
    """People come one after the other without end; whoever asked twice before them gets the second turn too."""
    line = FairQueue(1)
    running = line.join("somebody")
    first, second = line.join("ana"), line.join("ana")
    waiting = [line.join(f"early{n}") for n in range(5)]

    for n in range(30):
        waiting.append(line.join(f"late{n}"))
        line.leave(running)
        running = next(t for t in [first, second, *waiting] if t.granted.is_set() and not t.has_left)
        if second.granted.is_set():
            break

    assert second.granted.is_set()
    assert n < 15


def test_a_lower_limit_takes_no_place_away_and_a_higher_one_calls_at_once() -> None:
    line = FairQueue(2)
    tickets = [line.join("ana") for _ in range(5)]

    line.limit = 1
    line.leave(tickets[0])
    after_one = [ticket.granted.is_set() for ticket in tickets]
    line.limit = 3

    assert after_one == [True, True, False, False, False]
    assert [ticket.granted.is_set() for ticket in tickets] == [True, True, True, True, False]


def test_what_runs_already_has_its_place_beyond_the_limit() -> None:
    line = FairQueue(1)
    running = [line.occupy("ana"), line.occupy("ana")]
    mine = line.join("ben")

    line.leave(running[0])
    with_one_left = mine.granted.is_set()
    line.leave(running[1])

    assert (with_one_left, mine.granted.is_set()) == (False, True)


def test_places_are_counted_once_a_second() -> None:
    line = FairQueue(1)
    line.join("ana")
    first, second = line.join("ana"), line.join("ana")
    told = [line.get_position(first, 10), line.get_position(second, 10)]
    newcomer = line.join("ben")

    assert told == [1, 2]
    assert line.get_position(newcomer, 10.5) is None
    assert [line.get_position(ticket, 11.5) for ticket in (first, newcomer, second)] == [1, 2, 3]


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from([0, 1, 2, 5])), max_size=40), st.integers(1, 4))
def test_the_order_that_is_told_is_the_one_that_comes(asks: list[tuple[str, int]], limit: int) -> None:
    line = FairQueue(limit)
    tickets = [line.join(who, weight) for who, weight in asks]

    told = [ticket.key for ticket in line.iterate_waiting()]

    assert served(line, tickets) == told


class FairQueueMachine(RuleBasedStateMachine):
    """People join, leave and are served in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.line = FairQueue(2)
        self.waiting: list[QueueEntry] = []
        self.running: list[QueueEntry] = []
        self.ahead: dict[QueueEntry, Counter[str]] = {}
        """For tickets of people who had nothing: whose turns came since they joined."""

    @rule(who=st.sampled_from(PEOPLE), weight=st.sampled_from([0, 1, 1, 3]))
    def join(self, who: str, weight: int) -> None:
        is_new = who not in {ticket.key for ticket in self.waiting} and self.line.get_finish_time(
            who
        ) == self.line.get_finish_time("nobody")
        ticket = self.line.join(who, weight)
        self.waiting.append(ticket)
        if is_new:
            self.ahead[ticket] = Counter()
        self._take_called()

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
        self.line.limit = limit
        self._take_called()

    def _leave(self, tickets: list[QueueEntry], data: st.DataObject) -> QueueEntry:
        ticket = tickets.pop(data.draw(st.integers(0, len(tickets) - 1)))
        self.line.leave(ticket)
        self.line.leave(ticket)
        self.ahead.pop(ticket, None)
        self._take_called()
        return ticket

    def _take_called(self) -> None:
        called = [ticket for ticket in self.waiting if ticket.granted.is_set()]
        self.waiting = [ticket for ticket in self.waiting if not ticket.granted.is_set()]
        self.running += called
        for ticket in called:
            self.ahead.pop(ticket, None)
        for turns in self.ahead.values():
            turns.update(ticket.key for ticket in called)

    @invariant()
    def no_place_is_lost_and_none_given_twice(self) -> None:
        assert self.line.active_count == len(self.running)
        assert self.line.waiting_count == len(self.waiting)
        assert not self.waiting or self.line.active_count >= self.line.limit

    @invariant()
    def who_had_nothing_waits_for_one_turn_of_each_other_person(self) -> None:
        assert all(turns <= Counter(PEOPLE) for turns in self.ahead.values())


TestMachine = FairQueueMachine.TestCase


@given(st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 5), min_size=2), st.integers(20, 200))
def test_those_who_always_wait_get_their_share(weights: dict[str, int], runs: int) -> None:
    line = FairQueue(1)
    tickets = [line.join(who, weight) for _ in range(runs + 1) for who, weight in weights.items()]

    turns = Counter(served(line, tickets, runs))

    for who, weight in weights.items():
        share = Fraction(weight, sum(weights.values())) * runs
        assert abs(turns[who] - share) <= 3


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(-1, 2)), max_size=40), st.integers(1, 4))
def test_lower_priority_numbers_are_granted_first_whichever_key_is_due(asks: list[tuple[str, int]], limit: int) -> None:
    line = FairQueue(limit)
    active = [line.join("before") for _ in range(limit)]
    tickets = [line.join(who, priority=priority) for who, priority in asks]
    expected = [(ticket.priority, ticket.key) for ticket in line.iterate_waiting()]

    order = served(line, [*active, *tickets])

    assert order == [key for _, key in expected]
    assert [priority for priority, _ in expected] == sorted(priority for _, priority in asks)


class Turnstile:
    """A pace that grants as many entries as the test allows."""

    def __init__(self) -> None:
        self.allowed = 0
        self.seconds: float | None = None

    def seconds_until_next(self, entry: QueueEntry) -> float | None:
        return 0.0 if self.allowed else self.seconds

    def record_grant(self, entry: QueueEntry) -> None:
        self.allowed -= 1


async def test_a_paced_queue_grants_when_the_pace_allows_or_its_time_has_come() -> None:
    clock, pace = ManualClock(), Turnstile()
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


async def test_a_first_entry_that_gives_up_lets_the_next_be_considered() -> None:
    clock, pace = ManualClock(), Turnstile()
    queue = PacedQueue(clock, pace)
    impatient, patient = queue.join(), queue.join()

    pace.allowed = 1
    queue.leave(impatient)

    assert patient.granted.is_set()
    assert queue.active_count == 1


@pytest.mark.parametrize("is_granted", [False, True])
async def test_a_cancelled_hold_passes_its_place_on(is_granted: bool) -> None:
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
