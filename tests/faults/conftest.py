"""A bench for each test: without a public address, and with one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.bench import FaultBench, open_fault_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with open_fault_bench(tmp_path) as one:
        yield one


@pytest.fixture
async def public_bench(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with open_fault_bench(tmp_path, is_public=True) as one:
        yield one
