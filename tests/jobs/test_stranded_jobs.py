"""Jobs stranded by an ended process or by an unexpected error in a task are continued."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import BackendDown, InternalError, Unavailable
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.credits.credits import Credits
from bot.jobs import completion, messages
from bot.jobs.work import UsualTimes
from bot.storage.jobs import JobStore, WorkerStore
from bot.storage.predictions import PredictionStore
from bot.storage.sqlite import SqliteConnection
from tests.bench import Bench
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import TIMEOUT_SECONDS, settle
from tests.fakes.failing_calls import fail_next_calls
from tests.fakes.platform import FakePlatform
from tests.fakes.samples import make_job

# The database is away or full for a moment.


async def test_a_database_away_during_recovery_only_delays_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.released.set()
    await first.close()
    remaining_errors = fail_next_calls(monkeypatch, UsualTimes, "_read_seconds", Unavailable("busy"))

    second = await first.open_again(tmp_path)
    await second.advance_time(10)

    assert remaining_errors == []
    assert (await second.get_job()).state is JobState.DELIVERED
    await second.close()


async def test_a_full_disk_while_completing_and_failing_strands_no_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLITE_FULL raises InternalError, not Unavailable as SQLITE_BUSY does: the stage is not repeated.
    full = [InternalError("database or disk is full"), InternalError("database or disk is full")]
    remaining_errors = fail_next_calls(monkeypatch, PredictionStore, "close", *full)

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert remaining_errors == []
    assert (await bench.get_job()).notified_at is not None
    assert await bench.list_open_holds() == []


async def test_a_commit_that_succeeded_with_an_error_is_not_repeated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection lost during COMMIT: the rows are written, but the commit raises an error."""
    commit, write = SqliteConnection._commit, completion._record_outcome
    is_closing, has_failed = threading.Event(), threading.Event()

    async def record_outcome_and_note(*arguments: Any) -> None:
        is_closing.set()
        await write(*arguments)

    def commit_with_error(self: SqliteConnection) -> None:
        has_begun = self._has_begun
        commit(self)
        if is_closing.is_set() and has_begun and not has_failed.is_set():
            has_failed.set()
            raise Unavailable("connection lost")

    monkeypatch.setattr(completion, "_record_outcome", record_outcome_and_note)
    monkeypatch.setattr(SqliteConnection, "_commit", commit_with_error)

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert has_failed.is_set()
    assert (await bench.get_job()).notified_at is not None
    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_an_error_while_recording_a_delivery_is_recovered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    remaining_errors = fail_next_calls(monkeypatch, messages, "record_delivery", InternalError("disk I/O error"))

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert remaining_errors == []
    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_a_job_of_a_removed_model_fails_though_the_database_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    orphan = make_job(model="gone-model", state=JobState.QUEUED)
    async with first.app.database.write() as tx:
        await tx.jobs.add(orphan)
    await first.close()
    remaining_errors = fail_next_calls(monkeypatch, completion, "fail", Unavailable("busy"))

    second = await first.open_again(tmp_path)
    await second.advance_time(10)

    assert remaining_errors == []
    assert (await second.get_job(orphan.id)).notified_at is not None
    await second.close()


async def test_recovery_continues_after_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    remaining_errors = fail_next_calls(monkeypatch, JobStore, "unfinished", InternalError("disk I/O error"))
    await bench.advance_time(6)
    assert remaining_errors == []
    fail_next_calls(monkeypatch, messages, "record_delivery", InternalError("disk I/O error"))

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_a_job_that_ends_while_recovery_reads_is_not_launched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = JobStore.unfinished

    async def read_slowly(self: JobStore, owner: str) -> list[str]:
        found = await look(self, owner)
        bench.backend.last_run.released.set()
        await bench.app.runner.drain(TIMEOUT_SECONDS)
        return found

    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    monkeypatch.setattr(JobStore, "unfinished", read_slowly)

    await bench.advance_time(6)

    assert (await bench.get_job()).state is JobState.DELIVERED
    assert "job.lost" not in caplog.messages


# The caller of a request is gone.


async def test_a_request_cancelled_during_the_commit_still_becomes_a_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, commit, hold = asyncio.get_running_loop(), SqliteConnection._commit, Credits.hold
    is_held, is_cancelled, is_committed = threading.Event(), threading.Event(), threading.Event()

    async def hold_and_note(*arguments: Any) -> None:
        await hold(*arguments)
        is_held.set()

    def cancel_request() -> None:
        request.cancel()
        is_cancelled.set()

    def commit_after_cancel(self: SqliteConnection) -> None:
        is_first_commit = is_held.is_set() and not is_cancelled.is_set()
        if is_first_commit:
            loop.call_soon_threadsafe(cancel_request)
            is_cancelled.wait(TIMEOUT_SECONDS)
        commit(self)
        if is_first_commit:
            is_committed.set()

    monkeypatch.setattr(Credits, "hold", hold_and_note)
    monkeypatch.setattr(SqliteConnection, "_commit", commit_after_cancel)

    request = asyncio.create_task(bench.say("/imagine a fox", key="web:left"))
    await asyncio.gather(request, return_exceptions=True)
    assert await asyncio.to_thread(is_committed.wait, TIMEOUT_SECONDS)
    await bench.advance_time(10)

    async with bench.app.database.read() as tx:
        row = await tx.jobs.get_by_request_key("web:left")
    assert row is not None
    assert row.state is JobState.DELIVERED
    assert await bench.list_open_holds() == []


# Another process takes over.


async def test_a_restart_without_network_still_adopts_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await Bench.open(tmp_path)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    away = BackendDown("The model service cannot be reached right now.")
    remaining_errors = fail_next_calls(monkeypatch, first.backend, "find", away)

    second = await first.open_again(tmp_path)
    await second.advance_time(60)

    assert remaining_errors == []
    assert second.last_message.reply.tone is Tone.DONE
    assert list(second.backend.runs) == ["run1"]
    await second.close()


async def test_a_clock_set_back_does_not_stall_submitting_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, an_hour_ago = await Bench.open(tmp_path), ManualClock()
    await first.clock.advance(3_600)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    monkeypatch.setattr(first.backend, "_clock", an_hour_ago)

    second = await first.open_again(tmp_path, clock=an_hour_ago)
    await second.advance_time(60)

    assert (await second.get_job()).state is not JobState.SUBMITTING
    await second.close()


async def test_a_job_of_another_platform_is_left_to_other_workers(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    left = await first.get_job()
    first.backend.last_run.released.set()
    await first.close()

    stranger = await first.open_again(tmp_path, platform=FakePlatform("console", first.clock))
    await stranger.wait_until_idle()
    untouched = (await stranger.get_job(left.id)).state
    await stranger.close()
    third = await first.open_again(tmp_path)
    await third.wait_until_idle()

    assert untouched is left.state
    assert (await third.get_job(left.id)).state is JobState.DELIVERED
    assert third.backend.cancelled == []
    await third.close()


# Stopping.


async def test_draining_waits_for_a_request_being_accepted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read, is_inside, gate = UsualTimes._read_seconds, asyncio.Event(), asyncio.Event()

    async def slow(self: UsualTimes, key: str) -> float | None:
        is_inside.set()
        await gate.wait()
        return await read(self, key)

    monkeypatch.setattr(UsualTimes, "_read_seconds", slow)
    request = asyncio.create_task(bench.say("/imagine a fox"))
    await is_inside.wait()

    draining = asyncio.create_task(bench.app.drain())
    await settle()
    was_over_before = draining.done()
    gate.set()
    await asyncio.gather(request, draining)

    assert not was_over_before
    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_closing_unlocks_the_database_though_releasing_jobs_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    remaining_errors = fail_next_calls(monkeypatch, WorkerStore, "remove", Unavailable("busy"))

    with pytest.raises(Unavailable):
        await first.close()

    second = await first.open_again(tmp_path)  # refused while the lock is held
    assert remaining_errors == []
    await second.close()
