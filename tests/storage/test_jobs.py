"""Tests jobs: inserted once per request, moved by compare-and-set, claimed from dead workers."""

import asyncio
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from bot.core.errors import DuplicatePress, DuplicateRequest
from bot.core.jobs import Job, JobState
from bot.storage.database import Database
from tests.storage.rows import ANA, NOON, after, make_job, make_prediction


async def add(database: Database, **changes: Any) -> Job:
    job = make_job(**changes)
    async with database.write() as tx:
        await tx.jobs.add(job)
    return job


async def move(database: Database, job: Job, to: JobState, **changes: Any) -> Job | None:
    async with database.write() as tx:
        return await tx.jobs.move(job, to, after(1), **changes)


async def get(database: Database, job: Job) -> Job:
    async with database.read() as tx:
        found = await tx.jobs.get(job.id)
    assert found
    return found


async def test_a_job_is_read_back_as_written(database: Database) -> None:
    job = await add(database, press_key="m:vary:1", parent_job="p", run_after=after(5), is_private=True, cost_micros=0)

    found = await get(database, job)

    assert found == job
    assert found.created_at.tzinfo is UTC


async def test_names_are_stored_without_nul_and_lone_surrogates(database: Database) -> None:
    job = await add(database, user=replace(ANA, name="A\0na\ud800"))

    assert (await get(database, job)).user.name == "Ana\ufffd"


async def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="no time zone"):
        await add(database, created_at=NOON.replace(tzinfo=None))


async def test_a_job_is_found_by_an_unambiguous_prefix_of_the_id(database: Database) -> None:
    await add(database, id="01abc")
    await add(database, id="01abd")

    async with database.read() as tx:
        prefixes = ("01abc", "01ab", "01abe", "02", "%", "", "\0", "\ud800")
        found = {prefix: await tx.jobs.find_own(ANA, prefix) for prefix in prefixes}

    assert {prefix: job and job.id for prefix, job in found.items()} == {
        "01abc": "01abc",
        "01ab": None,
        "01abe": None,
        "02": None,
        "%": None,
        "": None,
        "\0": None,
        "\ud800": None,
    }


async def test_a_request_is_inserted_once(database: Database) -> None:
    job = await add(database)

    async with database.write() as tx:
        with pytest.raises(DuplicateRequest):
            await tx.jobs.add(make_job(request_key=job.request_key))
        found = await tx.jobs.get_by_request_key(job.request_key)  # the transaction is still usable

    assert found == job


async def test_a_redelivered_press_is_the_same_request(database: Database) -> None:
    job = await add(database, press_key="m:vary:1")

    with pytest.raises(DuplicateRequest):
        await add(database, request_key=job.request_key, press_key="m:vary:1")


async def test_a_second_press_is_refused_while_the_job_is_open(database: Database) -> None:
    job = await add(database, press_key="m:vary:1")

    with pytest.raises(DuplicatePress):
        await add(database, press_key="m:vary:1")
    await move(database, job, JobState.FINISHED)

    await add(database, press_key="m:vary:1")


async def test_a_move_returns_the_job_as_stored(database: Database) -> None:
    job = await add(database)
    record = make_prediction()
    async with database.write() as tx:
        await tx.predictions.add(record)
        await tx.jobs.request_cancel(job.id, "discord:9", NOON)

    moved = await move(
        database,
        job,
        JobState.RUNNING,
        prediction=record.id,
        cost_micros=5,
        error="no",
        attempts=2,
        run_after=after(9),
        notified_at=after(8),
        conversation="c",
    )

    assert moved
    assert (moved.state, moved.updated_at, moved.cancel_by) == (JobState.RUNNING, after(1), "discord:9")
    assert moved == await get(database, job)


@pytest.mark.parametrize(
    "stale", [{"state": JobState.QUEUED}, {"owner": "worker-2"}, {"epoch": 0}, {"id": "another"}], ids=str
)
async def test_a_stale_move_changes_no_row(database: Database, stale: dict[str, Any]) -> None:
    job = await add(database)

    moved = await move(database, replace(job, **stale), JobState.FAILED, error="lost")

    assert moved is None
    assert await get(database, job) == job


async def test_a_posted_move_gives_the_job_as_stored(database: Database) -> None:
    job, found = await add(database), list[Job | None]()

    async with database.write() as tx:
        await tx.jobs.request_cancel(job.id, "discord:9", NOON)
        await tx.jobs.post_move(job, JobState.QUEUED, after(1), found.append, attempts=2)

    assert found == [await get(database, job)]
    assert found[0]
    assert (found[0].state, found[0].attempts, found[0].cancel_by) == (JobState.QUEUED, 2, "discord:9")


async def test_a_posted_move_that_is_refused_rolls_the_write_back(database: Database) -> None:
    job, record = await add(database), make_prediction()

    def refuse(moved: Job | None) -> None:
        assert moved is None
        raise ZeroDivisionError

    async def write() -> None:
        async with database.write() as tx:
            await tx.predictions.add(record)
            await tx.jobs.post_move(replace(job, owner="worker-2"), JobState.QUEUED, after(1), refuse)

    with pytest.raises(ZeroDivisionError):
        await write()

    async with database.read() as tx:
        assert await tx.predictions.get(record.id) is None
    assert await get(database, job) == job


async def test_a_move_refuses_columns_outside_job_changes(database: Database) -> None:
    job = await add(database)

    with pytest.raises(TypeError, match="owner"):
        await move(database, job, JobState.QUEUED, owner="me")


async def test_a_cancel_request_is_recorded_once_and_only_while_open(database: Database) -> None:
    job, done = await add(database), await add(database, state=JobState.DELIVERED)

    async with database.write() as tx:
        answers = [
            await tx.jobs.request_cancel(job_id, "discord:1", NOON) for job_id in (job.id, job.id, done.id, "none")
        ]

    assert answers == [True, False, False, False]
    assert (await get(database, job)).cancel_by == "discord:1"


async def test_lists_are_newest_first_and_of_one_user_or_channel(database: Database) -> None:
    old = await add(database, created_at=after(1))
    done = await add(database, created_at=after(2), state=JobState.DELIVERED)
    new = await add(database, created_at=after(3))
    elsewhere = await add(database, user=replace(ANA, workspace="other"), channel=replace(old.channel, id="else"))

    async with database.read() as tx:
        assert await tx.jobs.list_open(ANA) == [new, old]
        assert await tx.jobs.list_recent(ANA, 2) == [new, done]
        assert await tx.jobs.list_recent_in_channel("discord", "guild", "lobby", 9) == [new, done, old]
        assert await tx.jobs.list_recent_in_channel("discord", "guild", "else", 9) == [elsewhere]


async def test_the_use_of_a_model_is_found_since_a_time(database: Database) -> None:
    await add(database, model="fast", created_at=after(1))
    await add(database, model="other", created_at=after(5))

    async with database.read() as tx:
        assert await tx.jobs.was_used_since(["slow", "fast"], after(1))
        assert not await tx.jobs.was_used_since(["fast"], after(2))
        assert not await tx.jobs.was_used_since([], after(1))


async def test_jobs_of_dead_workers_are_claimed_and_old_writes_are_fenced(database: Database) -> None:
    told = {"notified_at": NOON}
    waiting = [
        await add(database, owner="dead", created_at=after(1)),
        await add(database, owner="", state=JobState.RUNNING, created_at=after(2)),
        await add(database, owner="late", state=JobState.FINISHED, created_at=after(3)),
        await add(database, owner="dead", state=JobState.FAILED, created_at=after(4)),
    ]
    await add(database, owner="dead", state=JobState.DELIVERED)
    await add(database, owner="dead", state=JobState.CANCELLED, **told)
    await add(database, owner="alive")
    await add(database, owner="me")
    async with database.write() as tx:
        await tx.workers.record_heartbeat("alive", NOON)
        await tx.workers.record_heartbeat("late", after(-60))

    async with database.write() as tx:
        first = await tx.jobs.claim("me", after(-10), after(9), 3)
        rest = await tx.jobs.claim("me", after(-10), after(9), 3)

    assert [*first, *rest] == [replace(job, owner="me", epoch=2, updated_at=after(9)) for job in waiting]
    assert await move(database, waiting[0], JobState.QUEUED) is None
    assert await move(database, first[0], JobState.QUEUED)


async def test_two_claimers_never_get_the_same_job(database: Database) -> None:
    async with database.write() as tx:
        for _ in range(60):
            await tx.jobs.add(make_job(owner="dead"))

    async def claim(me: str) -> list[str]:
        mine: list[str] = []
        while True:
            async with database.write() as tx:
                jobs = await tx.jobs.claim(me, NOON, NOON, 7)
                # Both workers are alive: neither may claim jobs claimed by the other a moment ago.
                await tx.workers.record_heartbeat(me, after(1))
            if not jobs:
                return mine
            mine += [job.id for job in jobs]

    async with database.write() as tx:
        for number in range(4):
            await tx.workers.record_heartbeat(f"w{number}", after(1))
    taken = [job for jobs in await asyncio.gather(*(claim(f"w{n}") for n in range(4))) for job in jobs]

    assert len(taken) == len(set(taken)) == 60


async def test_a_stopping_worker_releases_unfinished_jobs(database: Database) -> None:
    job = await add(database, owner="me")
    done = await add(database, owner="me", state=JobState.DELIVERED)
    async with database.write() as tx:
        await tx.workers.record_heartbeat("me", NOON)

    async with database.write() as tx:
        assert await tx.jobs.release_owner("me", after(1)) == 1
        claimed = await tx.jobs.claim("next", after(-10), after(2), 9)

    assert [found.id for found in claimed] == [job.id]
    assert (await get(database, done)).owner == "me"


async def test_each_reached_state_is_listed_with_the_time(database: Database) -> None:
    job = make_job()
    async with database.write() as tx:
        await tx.jobs.add(job)
        queued = await tx.jobs.move(job, JobState.QUEUED, after(1))
        assert queued is not None
        again = await tx.jobs.move(queued, JobState.QUEUED, after(2), attempts=1)
        assert again is not None
        await tx.jobs.move(job, JobState.FAILED, after(3))  # stale: the job was moved twice since
        await tx.jobs.move(again, JobState.CANCELLED, after(4))

    async with database.read() as tx:
        steps = await tx.jobs.list_steps(job.id)
        assert await tx.jobs.list_steps("unknown") == []

    assert steps == [(JobState.ACCEPTED, NOON), (JobState.QUEUED, after(1)), (JobState.CANCELLED, after(4))]
