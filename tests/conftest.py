"""Fixtures of the whole suite: no network beyond this machine, and databases on both engines."""

import asyncio
import gc
import importlib
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bot.storage.database import Database
from tests.bench import Bench
from tests.catalogue.samples import write_catalogue
from tests.postgres import PostgresServer, find_binaries, run_server
from tests.storage.empty_database import place_empty_database

pytest_plugins = ["tests.trunk_coverage"]

# A slow machine is no failure.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

OPTIONAL_NEEDS = ("postgres", "browser", "servers")
"""Marks of tests with needs beyond Python. Machines without the need skip, or fail with `--require-…` or CI=true."""

skipped: dict[str, list[str]] = {need: [] for need in OPTIONAL_NEEDS}


class NetworkUsed(RuntimeError):
    """A test used the network. Not an OSError: code under test would handle an OSError as a network failure."""


def pytest_addoption(parser: pytest.Parser) -> None:
    for need, thing in zip(
        OPTIONAL_NEEDS, ("PostgreSQL server", "Chromium with Playwright", "model server"), strict=True
    ):
        parser.addoption(f"--require-{need}", action="store_true", help=f"fail, rather than skip, without a {thing}")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of worker processes of `-n auto`: two more than cores for the suite, none for a part of it.

    Tests wait for sockets and timers a quarter of their time: two workers more than cores keep two cores busy. A person
    who names files reads the output, and a start of workers would take longer than most files.
    """
    return (os.cpu_count() or 1) + 2 if is_whole_suite(config) else 0


@pytest.hookimpl(optionalhook=True)  # a hook of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["is_whole_suite"] = is_whole_suite(node.config)


def is_whole_suite(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let each worker compile its share of the test files first; then each reads the files that others compiled.

    Rewriting the asserts of all files takes ten seconds, and each worker imports all files.
    """
    worker = getattr(session.config, "workerinput", {})
    if not worker.get("is_whole_suite") or sys.dont_write_bytecode:
        return
    number, workers = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    root = Path(__file__).parent
    for file in sorted(root.rglob("test_*.py"))[number::workers]:
        with suppress(Exception, pytest.skip.Exception):  # the collection reports the error of a file
            importlib.import_module(".".join(file.relative_to(root.parent).with_suffix("").parts))


@pytest.hookimpl(trylast=True)  # pytest-randomly has shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests that kill processes first: a worker that begins one last would be alone with it for a minute."""
    items.sort(key=lambda item: item.get_closest_marker("chaos") is None)


def pytest_collection_finish() -> None:
    # Each full garbage collection would visit all imported modules and all tests: a tenth of the suite's CPU time.
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for need in OPTIONAL_NEEDS:
        if report.skipped and need in report.keywords:
            skipped[need].append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # the process that started the workers has every report, and the terminal
    for need, tests in skipped.items():
        if tests and is_required(need, session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter = session.config.pluginmanager.getplugin("terminalreporter")
            reporter.write_line(f"\nSkipped, though {need} is required: {', '.join(tests)}", red=True)


def is_required(need: str, config: pytest.Config) -> bool:
    return bool(config.getoption(f"--require-{need}")) or os.environ.get("CI") == "true"


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Restore logging: a verb configures logging for a whole process, and tests run many verbs in a process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Limit connections and name look-ups to loopback, also of asyncio, which connects through `socket.socket`."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check_loopback(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check_loopback(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host and not is_ip_address(host):
            check_loopback(socket.AF_INET, (host,))
        return getaddrinfo(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def check_loopback(family: int, address: Any) -> None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host != "localhost" and not (is_ip_address(host) and ipaddress.ip_address(host).is_loopback):
        raise NetworkUsed(f"A test tried to reach {host}; tests stay on this machine.")


def is_ip_address(host: str | bytes) -> bool:
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server for the session. Skip without PostgreSQL; fail if --require-postgres or CI=true is given."""
    binaries = find_binaries()
    if binaries is None:
        reason = "there is no PostgreSQL server here (on Debian: apt-get install postgresql)"
        if is_required("postgres", request.config):
            pytest.fail(reason)
        pytest.skip(reason)
    with run_server(binaries) as server:
        yield server


BOTH_ENGINES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
WITH_SCHEMA = "with_schema"


@pytest.fixture(scope="session")
def postgres_with_schema(postgres_server: PostgresServer) -> PostgresServer:
    """The server with a migrated database: migrating takes longer than most tests."""
    with ThreadPoolExecutor(1) as thread:  # async fixtures request this fixture, and their loop runs in this thread
        thread.submit(lambda: asyncio.run(_make_schema(postgres_server))).result()
    return postgres_server


async def _make_schema(server: PostgresServer) -> None:
    database = Database(await server.create_database(WITH_SCHEMA))
    await database.open()
    await database.close()


@pytest.fixture(params=BOTH_ENGINES)
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database without rows. The test runs on both engines.

    PostgreSQL's database is emptied, not created: a test with schema changes needs `empty_database_url`.
    """
    if request.param == "sqlite":
        url = f"sqlite:///{(tmp_path / 'easel.db').as_posix()}"
        await place_empty_database(url)
        yield url
        return
    server: PostgresServer = request.getfixturevalue("postgres_with_schema")
    await server.delete_rows(WITH_SCHEMA)
    yield server.url(WITH_SCHEMA)


@pytest.fixture(params=BOTH_ENGINES)
async def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database without a schema. The test runs on both engines."""
    if request.param == "sqlite":
        yield f"sqlite:///{(tmp_path / 'easel.db').as_posix()}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The whole bot with fake backend and platform, on SQLite."""
    opened = await Bench.open(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def llama_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in catalogue with Llama 3 8B as the default of /chat: a template, and a small context."""
    # One file for the session: the bot parses an unchanged file once.
    return write_catalogue(tmp_path_factory.mktemp("llama"), default="llama-3-8b")


@pytest.fixture
async def llama_bench(tmp_path: Path, llama_catalogue: Path) -> AsyncIterator[Bench]:
    """The bench on `llama_catalogue`."""
    opened = await Bench.open(tmp_path, catalogue_path=llama_catalogue)
    yield opened
    await opened.close()
