"""A bot that died takes up every job where its row says it is."""

from pathlib import Path

import pytest

from bot.core.backend import PredictionState
from bot.core.jobs import JobState
from bot.core.replies import Tone
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.samples import make_job
from tests.postgres import PostgresServer


async def reopened(first: Bench, folder: Path) -> Bench:
    """Another process on the same folder, with the same world outside."""
    await first.close()
    second = await Bench.open(folder, clock=first.clock, backend=first.backend, platform=first.platform)
    await second.wait_until_idle()
    return second


async def test_a_running_picture_is_delivered_in_the_same_message(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.released.set()

    second = await reopened(first, tmp_path)

    assert len(second.backend.runs) == len(second.platform.messages) == 1
    assert second.last_message.reply.tone is Tone.DONE
    assert await second.balance() == second.starting_credits - 3_000
    assert await second.list_open_holds() == []
    await second.close()


async def test_a_growing_answer_goes_on_in_the_same_message(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(words=("One ", "two ", "three."), hangs_after=2)
    await first.say("/chat Count.")
    assert first.last_text == "One two "

    first.backend.last_run.released.set()
    second = await reopened(first, tmp_path)

    assert len(second.platform.messages) == 1
    assert second.last_text == "One two three."
    await second.close()


async def test_what_finished_while_it_was_away_is_delivered(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.state = PredictionState.SUCCEEDED

    second = await reopened(first, tmp_path)

    assert second.last_message.reply.tone is Tone.DONE
    await second.close()


async def test_what_is_gone_by_then_is_told_and_given_back(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0, outputs_are_gone=True)
    await first.say("/imagine a fox")
    first.backend.last_run.state = PredictionState.SUCCEEDED

    second = await reopened(first, tmp_path)

    assert second.last_text == "⚠ I was away for over an hour and what was made is gone. You were not charged."
    assert await second.balance() == second.starting_credits
    await second.close()


async def test_an_accepted_job_without_a_message_gets_one(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    waiting = make_job(inputs={"prompt": "a fox", "num_outputs": 1}, options={"prompt": "a fox", "count": 1})
    async with first.app.database.write() as tx:
        await tx.jobs.add(waiting)

    second = await reopened(first, tmp_path)

    assert (await second.get_job(waiting.id)).state is JobState.DELIVERED
    assert len(second.platform.messages) == 1
    await second.close()


async def test_a_cancel_that_was_asked_before_the_crash_still_counts(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    async with first.app.database.write() as tx:
        await tx.jobs.request_cancel((await first.get_job()).id, "web:ana", first.clock.now())

    second = await reopened(first, tmp_path)

    assert second.backend.cancelled == ["run1"]
    assert second.last_text == "⏹ Stopped."
    await second.close()


async def test_a_failed_job_that_nobody_was_told_of_is_told(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    untold = make_job(state=JobState.FAILED, error="The model failed.", options={"prompt": "a fox"})
    async with first.app.database.write() as tx:
        await tx.jobs.add(untold)

    second = await reopened(first, tmp_path)

    assert (await second.get_job(untold.id)).notified_at is not None
    assert second.last_text == "⚠ The model failed."
    await second.close()


async def test_a_job_whose_model_was_taken_off_is_told_and_given_back(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    orphan = make_job(model="gone-model", state=JobState.QUEUED)
    async with first.app.database.write() as tx:
        await tx.jobs.add(orphan)

    second = await reopened(first, tmp_path)

    assert (await second.get_job(orphan.id)).state is JobState.FAILED
    assert "gone-model" in second.last_text
    await second.close()


@pytest.mark.postgres
async def test_two_workers_share_one_database(postgres_with_schema: PostgresServer, tmp_path: Path) -> None:
    """A worker stopped for longer than its lease loses its job to another, and writes nothing when it wakes."""
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    slow = await Bench.open(tmp_path / "slow", url)
    slow.backend.will(hangs_after=0)
    await slow.say("/imagine a fox")
    taken = await slow.get_job()
    await slow.clock.advance(5)

    other = await Bench.open(tmp_path / "other", url, clock=slow.clock, backend=slow.backend, platform=slow.platform)
    await other.app.recovery.recover_jobs(0)
    slow.backend.last_run.released.set()
    await slow.wait_until_idle()
    await other.wait_until_idle()

    after = await other.get_job(taken.id)
    assert (after.state, after.owner, after.epoch) == (JobState.DELIVERED, other.app.worker, taken.epoch + 1)
    assert await other.balance() == other.starting_credits - 3_000
    assert await other.list_open_holds() == []
    await slow.close()
    await other.close()
