"""The circuit: opens after failures in a row, says when to try again, lets one ask find out, and closes."""

import contextlib

import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.circuit import FAILURES_TO_OPEN, FIRST_SECONDS_OPEN, Circuit
from bot.core.errors import BackendDown, SubmitUnclear
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import PAINTER, run
from tests.backends.replicate.scripted import Answer, Reply, ScriptedServer, hang_up


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock(leaps=-1)


@pytest.fixture
def circuit(clock: LeapingClock) -> Circuit:
    """One that has just opened."""
    circuit = Circuit(clock)
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit.failed()
    circuit.admit()
    circuit.failed()
    return circuit


def is_refused(circuit: Circuit) -> bool:
    try:
        circuit.admit()
    except BackendDown:
        return True
    return False


def test_while_open_every_ask_hears_when_to_try_again(circuit: Circuit, clock: LeapingClock) -> None:
    clock.advance(3)

    with pytest.raises(BackendDown, match=r"cannot be reached right now\. Try again in 12 seconds\."):
        circuit.admit()
    with pytest.raises(BackendDown):
        circuit.refuse_while_open()
    with pytest.raises(BackendDown):
        circuit.check()


def test_then_one_ask_finds_out_while_the_others_still_hear(circuit: Circuit, clock: LeapingClock) -> None:
    clock.advance(FIRST_SECONDS_OPEN)

    assert [is_refused(circuit) for _ in range(3)] == [False, True, True]
    circuit.refuse_while_open()  # the one that finds out may create
    circuit.worked()
    assert [is_refused(circuit) for _ in range(3)] == [False, False, False]
    circuit.check()


def test_a_probe_that_never_told_makes_room_for_another(circuit: Circuit, clock: LeapingClock) -> None:
    clock.advance(FIRST_SECONDS_OPEN)
    assert not is_refused(circuit)

    clock.advance(31)

    assert not is_refused(circuit)


def test_each_failed_probe_doubles_the_wait_up_to_two_minutes(circuit: Circuit, clock: LeapingClock) -> None:
    waits = [FIRST_SECONDS_OPEN]
    for _ in range(5):
        clock.advance(waits[-1])
        assert not is_refused(circuit)
        circuit.failed()
        waits.append(next(second for second in range(1, 200) if not refuses_after(circuit, clock, second)))

    assert waits[1:] == [30, 60, 120, 120, 120]


def refuses_after(circuit: Circuit, clock: LeapingClock, seconds: float) -> bool:
    """Whether it would still refuse then; time is put back."""
    clock.advance(seconds)
    try:
        circuit.refuse_while_open()
    except BackendDown:
        return True
    else:
        return False
    finally:
        clock.advance(-seconds)


def test_failures_that_are_not_in_a_row_open_nothing(clock: LeapingClock) -> None:
    circuit = Circuit(clock)
    for _ in range(50):
        circuit.failed()
        circuit.worked()

    circuit.admit()
    assert not circuit.is_open


async def test_calls_that_are_not_answered_open_it_and_a_refusal_closes_it(
    calls: ReplicateBackend, server: ScriptedServer, patient_clock: LeapingClock
) -> None:
    away: list[Answer] = [hang_up, Reply({}, 503)]
    server.on("GET", "/v1/account", *away * 4, Reply({}, 404))
    for _ in range(2):
        with contextlib.suppress(BackendDown):
            await calls.probe()
    with pytest.raises(BackendDown):
        calls.admit()
    with pytest.raises(BackendDown):
        async with calls.turn():
            pass

    with contextlib.suppress(Exception):
        await calls.probe()

    calls.admit()
    calls.check()


async def test_broken_creates_open_it(calls: ReplicateBackend, server: ScriptedServer) -> None:
    server.on("POST", "/v1/predictions", Reply({}, 502))
    for _ in range(FAILURES_TO_OPEN):
        with contextlib.suppress(SubmitUnclear):
            await calls.submit(PAINTER, {"prompt": "a fox"}, job="j1", cancel_after_seconds=60)

    with pytest.raises(BackendDown):
        calls.check()


async def test_running_jobs_go_on_being_watched(calls: ReplicateBackend, server: ScriptedServer) -> None:
    for _ in range(FAILURES_TO_OPEN):
        calls.client.circuit.failed()
    server.on("GET", "/v1/predictions/p1", Reply(run(output=[])))

    events = [event async for event in calls.watch(PAINTER, "p1")]

    assert events
    calls.check()
