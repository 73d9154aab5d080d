"""People ask the same, stop, and the bot dies, in any order: everybody is told, and each run has one payer at most."""

import random
from collections import Counter
from pathlib import Path

import pytest

from bot.core.jobs import OPEN_STATES, Job, JobState
from bot.core.people import User
from bot.core.replies import Tone
from tests.bench import Bench
from tests.fakes.rows import ANA

PEOPLE = [ANA, *(User("web", "page", f"u{n}", f"User {n}") for n in range(4))]
PRICE = 3_000


class Weather:
    """One bot, and what people and fate do to it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.bench: Bench
        self.asked = 0

    async def open(self) -> None:
        old = getattr(self, "bench", None)
        world = {} if old is None else {"clock": old.clock, "backend": old.backend, "platform": old.platform}
        self.bench = await Bench.open(self.folder, daily_credits=10.0, **world)
        self.bench.backend.will(hangs_after=0)
        await self.bench.rest()

    async def ask(self) -> None:
        self.asked += 1
        who, prompt = self.chance.choice(PEOPLE), self.chance.choice(["a fox", "a hen"])
        await self.bench.say(f"/imagine {prompt} --seed 7", by=who, key=f"web:{self.asked}")

    async def stop(self) -> None:
        jobs = [job for job in await self.jobs() if job.state in OPEN_STATES]
        if jobs:
            job = self.chance.choice(jobs)
            await self.bench.app.jobs.cancel(job, job.user)
            await self.bench.rest()

    async def end(self) -> None:
        hanging = [run for run in self.bench.backend.runs.values() if not run.let_go.is_set()]
        if hanging:
            run = self.chance.choice(hanging)
            run.script.error = self.chance.choice(["", "", "", "out of memory"])
            run.let_go.set()
            await self.bench.rest()

    async def die(self) -> None:
        await self.bench.close()
        await self.open()

    async def wait(self) -> None:
        await self.bench.pass_time(self.chance.choice([1, 6]))

    async def jobs(self) -> list[Job]:
        return [job for who in PEOPLE for job in await self.bench.app.jobs.recent(who, 100)]


@pytest.mark.parametrize("seed", range(6))
async def test_everybody_is_told_and_each_run_is_paid_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.RUNS_AT_ONCE", 1)  # so that leaders are stopped in line, too
    weather = Weather(tmp_path, seed)
    await weather.open()
    deeds = [weather.ask] * 5 + [weather.stop] * 2 + [weather.end] * 2 + [weather.wait, weather.die]

    for _ in range(30):
        await weather.chance.choice(deeds)()
    while weather.bench.app.runner.running:
        await weather.end()
        await weather.wait()

    jobs = await weather.jobs()
    assert all(job.told_at for job in jobs)
    assert {message.reply.tone for message in weather.bench.platform.messages.values()} <= {Tone.DONE, Tone.ERROR}
    payers = Counter(job.prediction for job in jobs if job.cost)
    assert all(count == 1 for count in payers.values())
    made = {run_id for run_id, run in weather.bench.backend.runs.items() if run.state == "succeeded"}
    assert sum(job.cost or 0 for job in jobs) == PRICE * len(made)
    assert all(job.cost == 0 for job in jobs if job.shares)
    for job in jobs:
        assert bool(await weather.bench.app.jobs.outputs(job)) or job.state is not JobState.DELIVERED
    async with weather.bench.app.database.read() as tx:
        assert await tx.ledger.jobs_with_open_holds() == []
        assert await tx.books.disagreements(10) == []
    await weather.bench.close()
