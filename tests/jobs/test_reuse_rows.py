"""The SQL for identical finished jobs, on both engines."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.core.jobs import Job, JobState, Output
from bot.jobs.acceptance import apply_kept_result
from bot.storage.database import Database
from tests.fakes.samples import NOW, make_job
from tests.storage.rows import make_prediction


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def add(database: Database, row: Job) -> Job:
    async with database.write() as tx:
        added = await apply_kept_result(tx, row, lambda _: True)
        await tx.jobs.add(added)
    return added


def make_identical_job(**changes: object) -> Job:
    return make_job(reuse_key="same", estimate_micros=5, max_micros=9, **changes)


@pytest.mark.parametrize(
    ("changes", "is_reused"),
    [
        ({}, True),
        ({"state": JobState.FAILED, "notified_at": NOW}, False),
        ({"is_private": True}, False),
        ({"reuse_key": "other"}, False),
    ],
    ids=["finished", "failed", "private", "another"],
)
async def test_only_finished_public_identical_jobs_are_reused(
    database: Database, changes: dict[str, object], is_reused: bool
) -> None:
    record = make_prediction()
    done = replace(make_identical_job(state=JobState.DELIVERED, prediction=record.id), **changes)  # type: ignore[arg-type]  # fields by name
    async with database.write() as tx:
        await tx.predictions.add(record)
        await tx.outputs.add([Output(record.id, 1, "a" * 64)])
        await tx.jobs.add(done)

    added = await add(database, make_identical_job())

    assert (added.reuses, added.prediction) == ((done.id, record.id) if is_reused else ("", ""))
    assert added.max_micros == (0 if is_reused else 9)
    assert not (await add(database, make_identical_job(channel=replace(done.channel, workspace="w2")))).reuses
