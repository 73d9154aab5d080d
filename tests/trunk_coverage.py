"""Limits the measurement of coverage to the tests of the trunk: tracing takes as long again as the other tests."""

import os
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import aiosqlite.core
import pytest
from coverage import Coverage
from coverage.collector import Collector

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
        _follow_greenlets_in_main_thread_only()
        _leave_database_threads_untraced()


def _follow_greenlets_in_main_thread_only() -> None:
    """Trace other threads without greenlets.

    A thread that was asked for its greenlet leaves a call to the main thread when it ends. Python 3.11 never returns
    from such a call if a second thread ends meanwhile, and the call runs traced code: at the first instruction of a
    traced function it handles pending calls, of which the running call is the first, again and again.
    """

    def get(collector: Collector) -> Callable[[], object] | None:
        is_main = threading.current_thread() is threading.main_thread()
        return vars(collector)["concur_id_func"] if is_main else None

    def put(collector: Collector, function: Callable[[], object] | None) -> None:
        vars(collector)["concur_id_func"] = function

    setattr(Collector, "concur_id_func", property(get, put))  # noqa: B010 - mypy knows the attribute as plain


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
