"""A restarted bot continues each job in the state of the job's row, and claims no jobs of living workers."""

from pathlib import Path

import pytest

from bot.core.backend import PredictionState
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.jobs.recovery import LEASE_SECONDS, Recovery
from bot.jobs.runner import Runner
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.samples import make_job
from tests.postgres import PostgresServer


async def reopen(first: Bench, folder: Path) -> Bench:
    """Close a bot, and start another process on the same folder, with the same world outside."""
    await first.close()
    second = await first.open_again(folder)
    await second.wait_until_idle()
    return second


async def test_a_running_picture_job_is_delivered_in_the_same_message(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.released.set()

    second = await reopen(first, tmp_path)

    assert len(second.backend.runs) == len(second.platform.messages) == 1
    assert second.last_message.reply.tone is Tone.DONE
    assert await second.balance() == second.starting_credits - 3_000
    assert await second.list_open_holds() == []
    await second.close()


async def test_a_streamed_answer_continues_in_the_same_message(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(words=("One ", "two ", "three."), hangs_after=2)
    await first.say("/chat Count.")
    assert first.last_text == "One two "

    first.backend.last_run.released.set()
    second = await reopen(first, tmp_path)

    assert len(second.platform.messages) == 1
    assert second.last_text == "One two three."
    await second.close()


async def test_a_run_that_ended_while_the_bot_was_away_is_delivered(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.state = PredictionState.SUCCEEDED

    second = await reopen(first, tmp_path)

    assert second.last_message.reply.tone is Tone.DONE
    await second.close()


async def test_outputs_deleted_while_the_bot_was_away_are_not_charged(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0, outputs_are_gone=True)
    await first.say("/imagine a fox")
    first.backend.last_run.state = PredictionState.SUCCEEDED

    second = await reopen(first, tmp_path)

    assert second.last_text == "⚠ I was away for over an hour and what was made is gone. You were not charged."
    assert await second.balance() == second.starting_credits
    await second.close()


async def test_an_accepted_job_without_a_message_is_delivered(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    waiting = make_job(inputs={"prompt": "a fox", "num_outputs": 1}, options={"prompt": "a fox", "count": 1})
    async with first.app.database.write() as tx:
        await tx.jobs.add(waiting)

    second = await reopen(first, tmp_path)

    assert (await second.get_job(waiting.id)).state is JobState.DELIVERED
    assert len(second.platform.messages) == 1
    await second.close()


async def test_a_cancel_requested_before_the_crash_is_carried_out(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    async with first.app.database.write() as tx:
        await tx.jobs.request_cancel((await first.get_job()).id, "web:ana", first.clock.now())

    second = await reopen(first, tmp_path)

    assert second.backend.cancelled == ["run1"]
    assert second.last_text == "⏹ Stopped."
    await second.close()


async def test_the_failure_of_an_undelivered_job_is_shown(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    undelivered = make_job(state=JobState.FAILED, error="The model failed.", options={"prompt": "a fox"})
    async with first.app.database.write() as tx:
        await tx.jobs.add(undelivered)

    second = await reopen(first, tmp_path)

    assert (await second.get_job(undelivered.id)).notified_at is not None
    assert second.last_text == "⚠ The model failed."
    await second.close()


async def test_a_job_of_a_removed_model_fails_with_its_name(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    orphan = make_job(model="gone-model", state=JobState.QUEUED)
    async with first.app.database.write() as tx:
        await tx.jobs.add(orphan)

    second = await reopen(first, tmp_path)

    assert (await second.get_job(orphan.id)).state is JobState.FAILED
    assert "gone-model" in second.last_text
    await second.close()


async def test_a_worker_claims_jobs_only_after_the_lease_of_their_owner(bench: Bench) -> None:
    """SQLite lets no second process in, so the second worker lives in this process, on the same database."""
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    owner = (await bench.get_job()).owner
    runner = Runner(bench.app.runner._services)
    other = Recovery(bench.app.database, runner, bench.clock, "other", ["web"], bench.app.added_models, is_alone=False)

    claimed_at_start = await other.start()
    await bench.advance_time(LEASE_SECONDS - 1)
    owner_within_lease = (await bench.get_job()).owner
    await bench.advance_time(2)

    assert (claimed_at_start, owner_within_lease) == (0, owner)
    assert (await bench.get_job()).owner == "other"
    await runner.stop()
    await other.stop()


@pytest.mark.postgres
async def test_a_worker_stopped_beyond_its_lease_loses_its_job(
    postgres_with_schema: PostgresServer, tmp_path: Path
) -> None:
    """The stopped worker must not write when waking up."""
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    slow = await Bench.open(tmp_path / "slow", url)
    slow.backend.will(hangs_after=0)
    await slow.say("/imagine a fox")
    taken = await slow.get_job()
    await slow.clock.advance(5)

    other = await slow.open_again(tmp_path / "other", url)
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
