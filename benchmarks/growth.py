"""Measure each typed verb on databases of growing size, on both engines, beside an empty database in the same run.

    python -m benchmarks.growth --sizes 10000,100000 --engines sqlite,postgresql --statistics both

The rows come from `tests.storage.bulk`: one person asks every twentieth job, most people share one workspace, and all
rows are kept. A cell is the CPU time of bot and database server, then the time on the clock, in milliseconds, each the
median of some calls. Other work on the machine changes the first little and the second much. `!` marks a verb with
more than 100 ms of CPU (300 ms from a million jobs on). PostgreSQL's CPU is read from /proc: on Linux only.
`--filled URL` measures a database that is filled already: filling a million jobs takes minutes.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.core.invocations import Invocation
from bot.core.people import PersonKey, User
from bot.core.replies import Tone
from bot.credits.ledger import verify_ledger
from bot.dispatch.parsing import parse_command
from bot.storage.database import Database
from tests.bench import Bench
from tests.fakes.clock import ManualClock
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, OWNER
from tests.postgres import find_binaries, run_server
from tests.storage.bulk import analyze, fill, forget_statistics, format_job_id, stop_autovacuum

REPEATS = 5
PLENTY: dict[str, Any] = {
    "daily_credits": 100_000,
    "monthly_budget_usd": Decimal(1_000_000),
    "retention_days": 10_000,
    "jobs_at_once": 10_000,
    "jobs_per_minute": 10_000,
}
"""Nobody is refused, and retention deletes nothing."""
SLOW_SECONDS = 1
MILLION = 1_000_000
DAYS = 20
NOW = ManualClock().now() + timedelta(days=DAYS)  # in the middle of a month
LAST_MONTH = f"{NOW - timedelta(days=25):%Y-%m}"
JOB = format_job_id(40)
LINES: Sequence[tuple[str, User]] = (
    ("/help", ANA),
    ("/models", ANA),
    ("/usage", ANA),
    ("/show", ANA),
    (f"/show {JOB}", ANA),
    (f"/cancel {JOB}", ANA),
    ("/jobs", MODERATOR),
    ("/audit", MODERATOR),
    ("/audit --user ana --kind refusals", MODERATOR),
    ("/quota show", MODERATOR),
    ("/quota show ana", MODERATOR),
    ("/quota top", MODERATOR),
    ("/quota budget show", OWNER),
    ("/quota grant ana 1", MODERATOR),
    ("/quota take ana 0.1", MODERATOR),
    ("/quota reset ana", MODERATOR),
    ("/quota reset ana all", MODERATOR),
    ("/quota set ana --month 1000", MODERATOR),
    ("/quota role set painters --day 50", MODERATOR),
    ("/settings show", MODERATOR),
    ("/words list", MODERATOR),
    ("/block ana", MODERATOR),
    ("/unblock ana", MODERATOR),
    ("/imagine a fox in the snow", ANA),
    ("/chat Where do foxes sleep?", ANA),
)
EXPORTS: Sequence[tuple[str, User]] = ((f"/quota export {LAST_MONTH}", MODERATOR), ("/privacy export", ANA))
Figures = dict[str, list[tuple[float, float]]]
"""Milliseconds by verb, for each call: of CPU, and on the clock."""


async def measure_verbs(bench: Bench, figures: Figures) -> None:
    """Type every verb `REPEATS` times, then read the page and verify the ledger."""
    numbers = iter(range(10**6))

    async def type_line(line: str, by: User) -> None:
        call = parse_command(line, bench.app.dispatcher.services.menu)
        key = f"web:growth:{next(numbers)}"
        reply = await bench.app.dispatcher.handle(Invocation(by, CHANNEL, call.command, key, call.options))
        if reply is not None and reply.tone is Tone.ERROR:
            print(f"{line}: {reply.text}", file=sys.stderr)  # a refusal takes less time than the verb

    for line, by in LINES:
        for _ in range(REPEATS):
            await find_server_processes(bench.app.database)
            await clock(figures, line, type_line(line, by))
        await bench.wait_until_idle()
    for line, by in EXPORTS:
        for _ in range(REPEATS):
            await find_server_processes(bench.app.database)
            await clock(figures, line, type_line(line, by))
    for name, work in list_readings(bench.app.database):
        for _ in range(REPEATS):
            await clock(figures, name, work())
    database = bench.app.database
    await clock(figures, "quota verify --all", verify_ledger(database, bench.clock.now(), is_complete=True))
    for n in range(REPEATS):
        await type_line(f"/imagine a heron, number {n}", ANA)
        await bench.wait_until_idle()
        await find_server_processes(database)
        await clock(figures, "quota verify", verify_ledger(database, bench.clock.now()))


def list_readings(database: Database) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """Name the readings behind the page and behind buttons."""

    async def list_channels() -> None:
        async with database.read() as tx:
            await tx.page.list_channels(ANA.id, 50)

    async def list_messages() -> None:
        async with database.read() as tx:
            await tx.page.list_in_channel("c0", 100)

    async def find_pressed_job() -> None:
        async with database.read() as tx:
            await tx.messages.find_job("web", "c0", f"m{JOB}")

    async def list_old_jobs() -> None:
        async with database.read() as tx:
            await tx.erasure.list_jobs_before(NOW - timedelta(days=300), 100)

    async def list_files() -> None:
        async with database.read() as tx:
            await tx.erasure.list_needed_files()

    async def list_jobs_of_person() -> None:
        async with database.read() as tx:
            await tx.erasure.list_jobs(PersonKey("web", "", "ana"), 100)

    return [
        ("page: channels", list_channels),
        ("page: messages", list_messages),
        ("button: job of a message", find_pressed_job),
        ("retention: oldest jobs", list_old_jobs),
        ("retention: needed files", list_files),
        ("/privacy delete: first jobs", list_jobs_of_person),
    ]


async def clock(figures: Figures, name: str, work: Awaitable[object]) -> None:
    cpu, began = measure_cpu_seconds(), time.perf_counter()
    await work
    seconds = time.perf_counter() - began
    times = ((measure_cpu_seconds() - cpu) * 1000, seconds * 1000)
    figures.setdefault(name, []).append(times)
    if seconds > SLOW_SECONDS:
        print(f"{name}: {times[0]:,.1f}, {times[1]:,.1f} ms", file=sys.stderr, flush=True)  # shows the progress


def measure_cpu_seconds() -> float:
    """Return the CPU time of this process and of PostgreSQL's processes for the database under test."""
    return time.process_time() + sum(map(read_cpu_seconds, server_processes))


server_processes: list[int] = []
"""The connections of the database under test."""


def read_cpu_seconds(process: int) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


async def find_server_processes(database: Database) -> None:
    """Fill `server_processes`. The pool has opened its connections: the first calls of a verb are not counted."""
    server_processes.clear()
    async with database.read() as tx:
        connection = tx.statements._connection
        if connection.dialect.name == "postgresql":
            found = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            server_processes.extend(pid for (pid,) in await connection.exec_driver_sql(found))


async def measure(url: str, size: int, days: int, *, with_statistics: bool, is_filled: bool = False) -> Figures:
    """Fill the empty database of a URL with `size` jobs, and measure a bot on the database."""
    figures: Figures = {}
    database = Database(url)
    await database.open()
    await stop_autovacuum(database)
    async with database.write() as tx:
        await tx.statements._connection.exec_driver_sql("DELETE FROM rate_limits")  # of an earlier run
    if size and not is_filled:
        await clock(figures, "(fill)", fill(database, size, NOW, span=timedelta(days=days)))
    await (analyze(database) if with_statistics else forget_statistics(database))
    await clock(figures, "close", database.close())
    with tempfile.TemporaryDirectory() as folder:
        watch = ManualClock()
        await watch.advance(DAYS * 86_400)
        began = time.perf_counter()
        bench = await Bench.open(Path(folder), url, clock=watch, **PLENTY)
        figures["start"] = [(0.0, (time.perf_counter() - began) * 1000)]
        await bench.wait_until_idle()
        try:
            await measure_verbs(bench, figures)
        finally:
            await bench.close()
    return figures


@asynccontextmanager
async def open_engine(name: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Give a function that creates an empty database of an engine and returns its URL."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            numbers = iter(range(100))

            async def create() -> str:
                return f"sqlite:///{(Path(folder) / f'{next(numbers)}.db').as_posix()}"

            yield create
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL: not measured, there is no server here")
    with run_server(binaries) as server:
        yield server.create_database


def format_title(engine: str, with_statistics: bool) -> str:
    return f"{engine}, {'with fresh statistics' if with_statistics else 'without statistics'}: milliseconds"


def print_table(title: str, columns: dict[int, Figures]) -> None:
    print(f"\n{title}\n\n| verb | {' | '.join(f'{size:,} jobs' for size in columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name in columns[max(columns)]:
        cells = []
        for size, figures in columns.items():
            cpu, took = (statistics.median(times) for times in zip(*figures.get(name, [(0.0, 0.0)]), strict=True))
            is_slow = cpu > (300 if size >= MILLION else 100)
            cells.append(f"{cpu:,.1f}, {took:,.1f}{' !' if is_slow else ''}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


async def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000", help="numbers of jobs; an empty database comes first")
    parser.add_argument("--days", type=int, default=365, help="the days that the jobs fill: 19 are this month alone")
    parser.add_argument("--engines", default="sqlite,postgresql")
    parser.add_argument("--statistics", default="both", choices=("none", "fresh", "both"))
    parser.add_argument("--filled", default="", metavar="URL", help="a filled database; --sizes says how many jobs")
    options = parser.parse_args(arguments)
    kinds = {"none": [False], "fresh": [True], "both": [False, True]}[options.statistics]
    if options.filled:
        for with_statistics in kinds:
            size = int(options.sizes)
            figures = await measure(options.filled, size, 0, with_statistics=with_statistics, is_filled=True)
            print_table(format_title(options.filled.partition(":")[0], with_statistics), {size: figures})
        return
    for engine in options.engines.split(","):
        async with open_engine(engine) as create:
            for with_statistics in kinds:
                sizes = [0, *(int(size) for size in options.sizes.split(","))]
                columns = {
                    size: await measure(await create(), size, options.days, with_statistics=with_statistics)
                    for size in sizes
                }
                print_table(format_title(engine, with_statistics), columns)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
