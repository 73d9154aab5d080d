"""What the database itself holds of sharing, on both engines: one leads, and the rest of them get its run."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.core.errors import AlreadyLed, DuplicateAsk, DuplicatePress
from bot.core.jobs import Job, JobState, Output, PostedMessage
from bot.core.replies import MessageRef
from bot.jobs import sharing
from bot.storage.engine import SqlDatabase
from tests.fakes.rows import NOW, job
from tests.storage.rows import a_prediction


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[SqlDatabase]:
    database = SqlDatabase(database_url)
    await database.open()
    yield database
    await database.close()


async def add(database: SqlDatabase, row: Job, *, may_reuse: bool = False) -> Job:
    async with database.write() as tx:
        return await sharing.add(tx, row, may_reuse=may_reuse, is_kept=lambda _: True)


def alike(**changes: object) -> Job:
    return job(share_key="same", told_about=5, told_at_most=9, **changes)


async def test_of_many_at_once_one_leads(database: SqlDatabase) -> None:
    added = await asyncio.gather(*(add(database, alike()) for _ in range(12)))

    leaders = [each for each in added if not each.shares]
    assert len(leaders) == 1
    assert {each.shares for each in added} == {"", leaders[0].id}
    assert {each.told_at_most for each in added if each.shares} == {0}


async def test_the_database_lets_one_lead(database: SqlDatabase) -> None:
    first = await add(database, alike(press_key="m:again:1"))

    async with database.write() as tx:
        with pytest.raises(AlreadyLed):
            await tx.jobs.add(alike())
        with pytest.raises(DuplicateAsk):
            await tx.jobs.add(replace(alike(), request_key=first.request_key))
        with pytest.raises(DuplicatePress):
            await tx.jobs.add(replace(alike(press_key="m:again:1"), shares=first.id))
        assert await tx.jobs.leading(alike()) == first


async def test_the_next_may_lead_when_the_first_is_over(database: SqlDatabase) -> None:
    first = await add(database, alike())
    async with database.write() as tx:
        await tx.jobs.move(first, JobState.CANCELLED, NOW)

    assert (await add(database, alike())).shares == ""


async def test_a_run_is_handed_to_those_who_still_wait(database: SqlDatabase) -> None:
    leader = await add(database, alike())
    stopped, gone, waiting = [await add(database, alike()) for _ in range(3)]
    record = a_prediction()
    async with database.write() as tx:
        await tx.predictions.add(record)
        await tx.jobs.ask_cancel(stopped.id, "web:ana", NOW)
        await tx.jobs.move(gone, JobState.CANCELLED, NOW)
        wanting = await tx.jobs.count_following(leader.id)
        await tx.jobs.hand_out(leader.id, record.id)

    async with database.read() as tx:
        runs = [row.prediction for each in (stopped, gone, waiting) if (row := await tx.jobs.get(each.id))]
    assert wanting == 1
    assert runs == [record.id, "", record.id]


@pytest.mark.parametrize(
    ("changes", "is_reused"),
    [
        ({}, True),
        ({"state": JobState.FAILED, "told_at": NOW}, False),
        ({"is_private": True}, False),
        ({"share_key": "other"}, False),
    ],
    ids=["finished", "failed", "private", "another"],
)
async def test_what_was_made_is_reused(database: SqlDatabase, changes: dict[str, object], is_reused: bool) -> None:
    record = a_prediction()
    done = replace(alike(state=JobState.DELIVERED, prediction=record.id), **changes)  # type: ignore[arg-type]  # its fields by name
    async with database.write() as tx:
        await tx.predictions.add(record)
        await tx.outputs.add([Output(record.id, 1, "a" * 64)])
        await tx.jobs.add(done)

    added = await add(database, alike(), may_reuse=True)

    assert added.is_reused is is_reused
    assert (added.shares, added.prediction) == ((done.id, record.id) if is_reused else ("", ""))
    assert not (await add(database, alike(channel=replace(done.channel, workspace="w2")), may_reuse=True)).is_reused


async def test_messages_are_handed_over(database: SqlDatabase) -> None:
    first, heir = await add(database, job()), await add(database, job())
    message = PostedMessage(first.id, 0, MessageRef("web", "page", "c1", "", "m1"))
    async with database.write() as tx:
        await tx.messages.put(message)
        await tx.messages.hand_over(first.id, heir.id)
        assert await tx.messages.of(first.id) == []
        assert await tx.messages.of(heir.id) == [replace(message, job=heir.id)]
