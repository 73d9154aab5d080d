"""Two workers with the same job or run: a single worker writes, and the user sees a single result."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.replies import Tone
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.backend import ScriptedBackend, ScriptedRun
from tests.postgres import PostgresServer


def make_finished_run(run: ScriptedRun) -> ScriptedRun:
    """Return the run as another worker finds the run: ended."""
    released = asyncio.Event()
    released.set()
    return replace(run, released=released, script=replace(run.script, hangs_after=None))


@pytest.mark.postgres
async def test_a_worker_that_lost_its_job_restores_the_result(
    postgres_with_schema: PostgresServer, tmp_path: Path
) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    slow = await Bench.open(tmp_path / "slow", url)
    slow.backend.will(words=("One ", "two ", "three."), hangs_after=1)
    await slow.say("/chat Count.")
    run, taken = slow.backend.last_run, await slow.get_job()
    backend = ScriptedBackend(slow.clock)
    backend.runs[run.id] = make_finished_run(run)
    await slow.clock.advance(5)
    other = await Bench.open(tmp_path / "other", url, clock=slow.clock, backend=backend, platform=slow.platform)
    await other.app.recovery.recover_jobs(0)
    await other.wait_until_idle()
    delivered = ((await other.get_job(taken.id)).state, slow.last_text)

    run.released.set()  # the slow worker wakes
    await slow.wait_until_idle()
    await slow.clock.advance(5)
    await slow.wait_until_idle()

    assert delivered == (JobState.DELIVERED, "One two three.")
    assert (slow.last_message.reply.tone, slow.last_text) == (Tone.DONE, "One two three.")
    await slow.close()
    await other.close()


async def test_a_job_claimed_back_from_another_worker_continues(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    soon = bench.clock.now() + timedelta(seconds=1)
    async with bench.app.database.write() as tx:  # a worker takes us for dead, and dies
        assert await tx.jobs.claim("another", soon, bench.clock.now(), 10)

    await bench.app.recovery.recover_jobs(0)  # ours again, while the first task still listens
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()

    after = await bench.get_job()
    assert (after.state, after.owner, after.epoch) == (JobState.DELIVERED, bench.app.worker, 2)
    assert len(bench.backend.runs) == len(bench.platform.messages) == 1


async def test_a_run_adopted_by_an_equal_request_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker with an equal request adopts our run between our create and our claim."""
    submit = bench.backend.submit

    async def submit_and_lose_run(
        model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        made = await submit(model, inputs, job=job, run=run, cancel_after_seconds=cancel_after_seconds)
        if len(bench.backend.runs) == 1:
            async with bench.app.database.write() as tx:
                await tx.predictions.add(PredictionRecord("other", "replicate", model.key, "f", {}, bench.clock.now()))
                await tx.predictions.bind_backend_id("other", made)
        return made

    monkeypatch.setattr(bench.backend, "submit", submit_and_lose_run)

    await bench.say("/imagine a fox")
    await bench.advance_time(15)

    assert len(bench.backend.runs) == 2
    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


@pytest.mark.postgres
async def test_a_cancel_at_another_worker_reaches_the_owner_of_the_job(
    postgres_with_schema: PostgresServer, tmp_path: Path
) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    runs_it = await Bench.open(tmp_path / "runs", url)
    asked = await Bench.open(tmp_path / "asked", url, clock=runs_it.clock)
    runs_it.backend.will(hangs_after=0)
    await runs_it.say("/imagine a fox")
    job = await runs_it.get_job()

    await asked.say(f"/cancel {job.id}")
    await runs_it.advance_time(2)

    assert runs_it.backend.cancelled == [runs_it.backend.last_run.id]
    assert (await asked.get_job(job.id)).state is JobState.CANCELLED
    assert runs_it.last_text == "⏹ Stopped."
    await asked.close()
    await runs_it.close()
