"""An open office, by either way in; at the end nothing happened that Slack does not allow."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.slack.office import Office, create_office

OfficeOpener = Callable[..., Awaitable[Office]]


@pytest.fixture
async def opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[OfficeOpener]:
    """Opens offices as a test wants them; each is looked over and closed afterwards."""
    caplog.set_level(logging.INFO)  # so that every line is really written
    offices: list[Office] = []

    async def open_office(**wanted: Any) -> Office:
        office = await create_office(tmp_path / f"office{len(offices)}", **wanted)
        offices.append(office)
        return await office.open()

    yield open_office
    for office in offices:
        await office.close()
        await office.slack.stop()
        assert office.slack.violations == []


@pytest.fixture
async def office(opened: OfficeOpener) -> Office:
    """By Socket Mode."""
    return await opened()


@pytest.fixture(params=["socket", "http"])
async def either(opened: OfficeOpener, request: pytest.FixtureRequest) -> Office:
    """Once by Socket Mode, once by signed HTTP."""
    return await opened(by=request.param)
