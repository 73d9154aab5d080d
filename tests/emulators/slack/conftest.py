"""A place to begin, and an app on slack-bolt connected over either wire."""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.slack.bolt_app import BoltApp
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.place import Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """Not connected: for calls of the Web API, or to connect as the test likes."""
    async with SlackEmulator() as slack:
        team = slack.add_team("Acme")
        general, ana = team.channel("general"), team.user("Ana", is_admin=True)
        async with BoltApp(slack, team) as bolt:
            yield Place(slack, team, general, ana, bolt)


@pytest.fixture(params=["socket", "http"])
async def wired(place: Place, request: pytest.FixtureRequest) -> Place:
    """Connected, once by Socket Mode and once by signed HTTP."""
    await (place.bolt.connect() if request.param == "socket" else place.bolt.serve())
    return place
