"""A place to begin, and an app on slack-bolt connected over either wire."""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.slack.client import BoltTestApp, SlackTestWorkspace
from tests.emulators.slack.emulator import SlackEmulator


@pytest.fixture
async def place() -> AsyncIterator[SlackTestWorkspace]:
    """Not connected: for calls of the Web API, or to connect as the test likes."""
    async with SlackEmulator() as slack:
        team = slack.add_team("Acme")
        general, ana = team.add_channel("general"), team.add_person("Ana", is_admin=True)
        async with BoltTestApp(slack, team) as bolt:
            yield SlackTestWorkspace(slack, team, general, ana, bolt)


@pytest.fixture(params=["socket", "http"])
async def wired(place: SlackTestWorkspace, request: pytest.FixtureRequest) -> SlackTestWorkspace:
    """Connected, once by Socket Mode and once by signed HTTP."""
    await (place.bolt_app.connect() if request.param == "socket" else place.bolt_app.serve())
    return place
