"""A town for each test: without a public address, and with one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.bench import FaultBench
from tests.faults.bench import open_fault_bench as opened


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with opened(tmp_path) as one:
        yield one


@pytest.fixture
async def public_town(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with opened(tmp_path, is_public=True) as one:
        yield one
