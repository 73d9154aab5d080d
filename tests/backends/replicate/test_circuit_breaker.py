"""The circuit breaker opens after failures in a row, names the wait, admits one probe, and closes."""

import contextlib

import pytest

from bot.backends.http import FAILURES_TO_OPEN, INITIAL_OPEN_SECONDS, CircuitBreaker
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.errors import BackendDown, SubmitUnclear
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import PAINTER, make_prediction
from tests.backends.replicate.scripted_server import ResponseScript, ScriptedResponse, ScriptedServer, hang_up


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock(max_leap_seconds=-1)


@pytest.fixture
def circuit(clock: LeapingClock) -> CircuitBreaker:
    """A circuit that has just opened."""
    circuit = CircuitBreaker(clock, "replicate")
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit.record_failure()
    circuit.admit()
    circuit.record_failure()
    return circuit


def is_refused(circuit: CircuitBreaker) -> bool:
    try:
        circuit.admit()
    except BackendDown:
        return True
    return False


def test_an_open_circuit_names_the_wait_to_every_request(circuit: CircuitBreaker, clock: LeapingClock) -> None:
    clock.advance(3)

    with pytest.raises(BackendDown, match=r"cannot be reached right now\. Try again in 12 seconds\."):
        circuit.admit()
    with pytest.raises(BackendDown):
        circuit.raise_if_open()
    with pytest.raises(BackendDown):
        circuit.check()


def test_a_half_open_circuit_admits_one_request(circuit: CircuitBreaker, clock: LeapingClock) -> None:
    clock.advance(INITIAL_OPEN_SECONDS)

    assert [is_refused(circuit) for _ in range(3)] == [False, True, True]
    circuit.raise_if_open()  # the probe may create
    circuit.record_success()
    assert [is_refused(circuit) for _ in range(3)] == [False, False, False]
    circuit.check()


def test_a_probe_without_a_result_is_followed_by_another(circuit: CircuitBreaker, clock: LeapingClock) -> None:
    clock.advance(INITIAL_OPEN_SECONDS)
    assert not is_refused(circuit)

    clock.advance(31)

    assert not is_refused(circuit)


def test_each_failed_probe_doubles_the_wait_up_to_two_minutes(circuit: CircuitBreaker, clock: LeapingClock) -> None:
    waits = [INITIAL_OPEN_SECONDS]
    for _ in range(5):
        clock.advance(waits[-1])
        assert not is_refused(circuit)
        circuit.record_failure()
        waits.append(next(second for second in range(1, 200) if not refuses_after(circuit, clock, second)))

    assert waits[1:] == [30, 60, 120, 120, 120]


def refuses_after(circuit: CircuitBreaker, clock: LeapingClock, seconds: float) -> bool:
    """Return whether the circuit would refuse after some seconds. The clock is put back."""
    clock.advance(seconds)
    try:
        circuit.raise_if_open()
    except BackendDown:
        return True
    else:
        return False
    finally:
        clock.advance(-seconds)


def test_failures_that_are_not_in_a_row_open_nothing(clock: LeapingClock) -> None:
    circuit = CircuitBreaker(clock, "replicate")
    for _ in range(50):
        circuit.record_failure()
        circuit.record_success()

    circuit.admit()
    assert not circuit.is_open


async def test_unanswered_calls_open_the_circuit_and_a_refusal_closes_it(
    client_backend: ReplicateBackend, server: ScriptedServer, patient_clock: LeapingClock
) -> None:
    away: list[ResponseScript] = [hang_up, ScriptedResponse({}, 503)]
    server.script("GET", "/v1/account", *away * 4, ScriptedResponse({}, 404))
    for _ in range(2):
        with contextlib.suppress(BackendDown):
            await client_backend.probe()
    with pytest.raises(BackendDown):
        client_backend.admit()
    with pytest.raises(BackendDown):
        async with client_backend.slot_for_create():
            pass

    with contextlib.suppress(Exception):
        await client_backend.probe()

    client_backend.admit()
    client_backend.check()


async def test_broken_creates_open_the_circuit(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("POST", "/v1/predictions", ScriptedResponse({}, 502))
    for _ in range(FAILURES_TO_OPEN):
        with contextlib.suppress(SubmitUnclear):
            await client_backend.submit(PAINTER, {"prompt": "a fox"}, job="j1", run="r1", cancel_after_seconds=60)

    with pytest.raises(BackendDown):
        client_backend.check()


async def test_an_open_circuit_lets_running_jobs_go_on(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    for _ in range(FAILURES_TO_OPEN):
        client_backend.client.api.circuit_breaker.record_failure()
    server.script("GET", "/v1/predictions/p1", ScriptedResponse(make_prediction(output=[])))

    events = [event async for event in client_backend.watch(PAINTER, "p1")]

    assert events
    client_backend.check()
