"""A bench per test: without a public address, and public."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.bench import FaultBench, open_fault_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with open_fault_bench(tmp_path) as opened:
        yield opened


@pytest.fixture
async def public_bench(tmp_path: Path) -> AsyncIterator[FaultBench]:
    async with open_fault_bench(tmp_path, is_public=True) as opened:
        yield opened
