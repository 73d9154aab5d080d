"""A page bench for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.platforms.web.page_bench import PageBench, open_page_bench


@pytest.fixture
async def page_bench(tmp_path: Path) -> AsyncIterator[PageBench]:
    async with open_page_bench(tmp_path) as opened:
        yield opened
