"""Limits the measurement of coverage to the tests of the trunk: tracing takes as long again as the other tests."""

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import aiosqlite.core
import pytest
from coverage import Coverage

TESTS = Path(__file__).parent
TRUNK_FOLDERS = {
    *("dispatch", "jobs", "credits", "moderation", "streaming", "catalogue", "conversations", "media", "core"),
    "commands",
}
"""Tests of faults and of storage, a quarter of the traced time, reach a dozen lines that these folders do not."""
UNTRACED = "untraced"
"""The mark of tests with long loops, up to eight times slower when traced, whose lines shorter tests reach too."""


def pytest_configure(config: pytest.Config) -> None:
    # The bots and sandboxes that tests start as processes would be traced too. The workers still need the variable.
    if hasattr(config, "workerinput"):
        os.environ.pop("COVERAGE_PROCESS_START", None)
    if Coverage.current() is not None:
        _leave_database_threads_untraced()


def _leave_database_threads_untraced() -> None:
    """Trace no thread of SQLite: SQLAlchemy runs there, and no code of the trunk."""
    run_calls = aiosqlite.core._connection_worker_thread

    def run_calls_untraced(tx: aiosqlite.core._TxQueue) -> Any:
        sys.settrace(None)
        return run_calls(tx)

    aiosqlite.core._connection_worker_thread = run_calls_untraced


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    coverage = Coverage.current()
    is_of_the_trunk = item.path.relative_to(TESTS).parts[0] in TRUNK_FOLDERS
    if coverage is None or (is_of_the_trunk and item.get_closest_marker(UNTRACED) is None):
        return (yield)
    coverage.stop()
    try:
        return (yield)
    finally:
        coverage.start()
