"""Cog's own servers, one for each model of the tests, shared by the tests of a module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.backends.conftest import require_package
from tests.servers.cog_server import CogServer, serve


@pytest.fixture(scope="module", autouse=True)
def cog_package(request: pytest.FixtureRequest) -> None:
    require_package("cog", request.config)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def painter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CogServer]:
    async with serve(tmp_path_factory.mktemp("painter"), "painter.py:Painter") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def writer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CogServer]:
    async with serve(tmp_path_factory.mktemp("writer"), "writer.py:Writer") as server:
        yield server
