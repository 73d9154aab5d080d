"""Fixtures: a workspace, and an app on slack-bolt connected over Socket Mode or HTTP."""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.slack.client import BoltTestApp, SlackTestWorkspace
from tests.emulators.slack.emulator import SlackEmulator


@pytest.fixture
async def workspace() -> AsyncIterator[SlackTestWorkspace]:
    """A workspace without a connected app: for calls of the Web API, or for a connection by the test."""
    async with SlackEmulator() as slack:
        team = slack.add_team("Acme")
        general, ana = team.add_channel("general"), team.add_person("Ana", is_admin=True)
        async with BoltTestApp(slack, team) as bolt:
            yield SlackTestWorkspace(slack, team, general, ana, bolt)


@pytest.fixture(params=["socket", "http"])
async def connected_workspace(workspace: SlackTestWorkspace, request: pytest.FixtureRequest) -> SlackTestWorkspace:
    """A workspace with a connected app, once over Socket Mode and once over signed HTTP."""
    await (workspace.bolt_app.connect() if request.param == "socket" else workspace.bolt_app.serve())
    return workspace
