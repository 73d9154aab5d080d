"""A scripted server, clocks that leap, and backends that call the server."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import Backend
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import TOKEN
from tests.backends.replicate.scripted_server import ScriptedServer

QUICK = httpx.Timeout(0.2, connect=2.0)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A server whose received requests must be valid by Replicate's OpenAPI document."""
    server = ScriptedServer()
    await server.start()
    yield server
    await server.stop()
    assert [fault for asked in server.received for fault in asked.find_violations()] == []


@pytest.fixture
async def foreign_server() -> AsyncIterator[ScriptedServer]:
    """Another origin, which must never see the token."""
    server = ScriptedServer()
    await server.start()
    yield server
    assert [asked for asked in server.received if asked.token] == []
    await server.stop()


@pytest.fixture
def clock() -> LeapingClock:
    """Waits for retries and polls are over at once; glances wait for the test."""
    return LeapingClock(max_leap_seconds=2.9)


@pytest.fixture
def patient_clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
async def backend(server: ScriptedServer, clock: LeapingClock) -> AsyncIterator[ReplicateBackend]:
    backend = ReplicateBackend(server.url, TOKEN, clock, stream_timeout=httpx.Timeout(5.0))
    as_the_trunk_sees_it: Backend = backend
    yield backend
    assert as_the_trunk_sees_it.name == "replicate"
    await backend.close()


@pytest.fixture
async def client_backend(server: ScriptedServer, patient_clock: LeapingClock) -> AsyncIterator[ReplicateBackend]:
    """A backend whose waits end at once and whose calls time out after 0.2 s: not for watching."""
    backend = ReplicateBackend(server.url, TOKEN, patient_clock, api_timeout=QUICK)
    yield backend
    await backend.close()
