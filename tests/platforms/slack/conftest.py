"""Opens offices by Socket Mode and by HTTP; after each test Slack must have seen no violation of its rules."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.slack.office import Office, create_office

OfficeOpener = Callable[..., Awaitable[Office]]


@pytest.fixture
async def open_office(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[OfficeOpener]:
    """Return a function to open offices with options; each office is closed after the test."""
    caplog.set_level(logging.INFO)  # so each log line is formatted
    offices: list[Office] = []

    async def create_and_open(**options: Any) -> Office:
        office = await create_office(tmp_path / f"office{len(offices)}", **options)
        offices.append(office)
        return await office.open()

    yield create_and_open
    for office in offices:
        await office.close()
        await office.slack.stop()
        assert office.slack.violations == []


@pytest.fixture
async def office(open_office: OfficeOpener) -> Office:
    """An open office by Socket Mode."""
    return await open_office()


@pytest.fixture(params=["socket", "http"])
async def any_office(open_office: OfficeOpener, request: pytest.FixtureRequest) -> Office:
    """An open office, once by Socket Mode and once by signed HTTP."""
    return await open_office(transport=request.param)
