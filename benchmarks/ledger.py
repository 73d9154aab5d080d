"""Measure the ledger: hold and settle pairs per second, the wait of a hold at 50 at once, and `quota verify`.

    python -m benchmarks.ledger

Each pair is two transactions, as for a job: the job's row with holds (on a wallet and on the budgets of the person,
the workspace and the bot), then the settle. Baseline: the same with one wallet and the bot's budget only.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.core.clock import SystemClock
from bot.core.people import User
from bot.credits.ledger import Ledger, verify_ledger
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database
from tests.fakes.samples import NOW, make_job
from tests.postgres import find_binaries, run_server

PAIRS = 2_000
AT_ONCE = 50
HOLD, COST = 5, 3
BARE = UserLimits(daily_allowance_micros=10**9, bot_month_micros=10**12)
FULL = UserLimits(
    daily_allowance_micros=10**9, bot_month_micros=10**12, user_month_micros=10**9, workspace_month_micros=10**12
)


@dataclass
class BenchmarkLedger:
    """One database with a ledger."""

    database: Database
    ledger: Ledger

    async def time_pair(self, user: User, limits: UserLimits) -> float:
        """Hold and settle; return the seconds from the request for the hold's transaction to the commit."""
        row, began = make_job(user=user), time.perf_counter()
        async with self.database.write() as tx:
            await tx.jobs.add(row)
            accounts = await self.ledger.open_accounts(tx, user, limits, NOW)
            await self.ledger.hold_on_accounts(tx, accounts, row.id, user, HOLD, limits, NOW)
        held = time.perf_counter() - began
        async with self.database.write(is_urgent=True) as tx:
            await self.ledger.settle(tx, row.id, COST, NOW)
        return held

    async def measure_pairs(self, name: str, limits: UserLimits) -> None:
        """Let fifty people ask at once, each in sequence."""
        people = [User("web", "page", f"{name}{n}", f"Person {n}") for n in range(AT_ONCE)]
        await asyncio.gather(
            *(self.time_pair(person, limits) for person in people)
        )  # accounts opened, statements prepared
        turns = itertools.count()
        waits: list[float] = []

        async def person(user: User) -> None:
            while next(turns) < PAIRS:
                waits.append(await self.time_pair(user, limits))

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(person(user) for user in people))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        p99 = statistics.quantiles(waits, n=100)[98]
        print(
            f"  {name}: {PAIRS / took:.0f} pairs/s, {cpu / PAIRS * 1000:.1f} ms of CPU a pair; "
            f"a hold at {AT_ONCE} at once: median {statistics.median(waits) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
        )

    async def verify(self) -> None:
        """Return the seconds of `quota verify` on the rows written so far."""
        began = time.perf_counter()
        proof = await verify_ledger(self.database, SystemClock().now(), is_complete=True)
        took = time.perf_counter() - began
        # No job here ends and no run exists, so verification reports both; all rows are read all the same.
        print(f"  verify: {took:.2f} s for {proof.compared}")


@asynccontextmanager
async def open_benchmark_ledger(url: str) -> AsyncIterator[BenchmarkLedger]:
    database = Database(url)
    await database.open()
    try:
        yield BenchmarkLedger(database, Ledger(CreditFormatter(1)))
    finally:
        await database.close()


async def measure(url: str) -> None:
    async with open_benchmark_ledger(url) as till:
        await till.measure_pairs("bare", BARE)
        await till.measure_pairs("full", FULL)
        for _ in range(3):
            await till.measure_pairs("more", FULL)
        await till.verify()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite")
        await measure(f"sqlite:///{(Path(folder) / 'easel.db').as_posix()}")
    binaries = find_binaries()
    if binaries is None:
        print("PostgreSQL: not measured, there is no server here")
        return
    with run_server(binaries) as server:
        print("PostgreSQL (fsync off)")
        await measure(await server.create_database())


if __name__ == "__main__":
    asyncio.run(main())
