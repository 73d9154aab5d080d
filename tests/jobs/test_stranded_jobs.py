"""Jobs left behind, by a process that went or by a task that met what it could not handle, are taken up again."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import BackendDown, InternalError, Unavailable
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.credits.credits import Credits
from bot.jobs import completion, delivery
from bot.jobs.work import UsualTimes
from bot.storage.jobs import JobStore
from bot.storage.predictions import PredictionStore
from bot.storage.sqlite import SqliteConnection
from bot.storage.workers import WorkerStore
from tests.bench import Bench
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import TIMEOUT_SECONDS, settle
from tests.fakes.failing_calls import fail_next_calls
from tests.fakes.platform import FakePlatform
from tests.fakes.samples import make_job


async def reopened(first: Bench, folder: Path, **changes: Any) -> Bench:
    """The next process on a folder whose first is closed, with the same world outside."""
    same: dict[str, Any] = {"clock": first.clock, "backend": first.backend, "platform": first.platform}
    return await Bench.open(folder, **(same | changes))


# The database is away, or full, for a moment.


async def test_a_database_away_when_a_job_is_taken_up_only_delays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    first.backend.last_run.released.set()
    await first.close()
    to_come = fail_next_calls(monkeypatch, UsualTimes, "_read_seconds", Unavailable("busy"))

    second = await reopened(first, tmp_path)
    await second.advance_time(10)

    assert to_come == []
    assert (await second.get_job()).state is JobState.DELIVERED
    await second.close()


async def test_a_disk_full_while_closing_and_while_giving_up_strands_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLITE_FULL is no SQLITE_BUSY: a Fault, not Unavailable, so that the stage is not simply tried again.
    full = [InternalError("database or disk is full"), InternalError("database or disk is full")]
    to_come = fail_next_calls(monkeypatch, PredictionStore, "close", *full)

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert to_come == []
    assert (await bench.get_job()).notified_at is not None
    assert await bench.list_open_holds() == []


async def test_a_commit_that_only_seemed_to_fail_is_not_done_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection lost during COMMIT: it is written, and we are told that it is not."""
    commit, write = SqliteConnection._commit, completion._record_outcome
    is_closing, has_lied = threading.Event(), threading.Event()

    async def watched(*arguments: Any) -> None:
        is_closing.set()
        await write(*arguments)

    def lying(self: SqliteConnection) -> None:
        has_begun = self._has_begun
        commit(self)
        if is_closing.is_set() and has_begun and not has_lied.is_set():
            has_lied.set()
            raise Unavailable("connection lost")

    monkeypatch.setattr(completion, "_record_outcome", watched)
    monkeypatch.setattr(SqliteConnection, "_commit", lying)

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert has_lied.is_set()
    assert (await bench.get_job()).notified_at is not None
    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_fault_while_noting_a_delivery_is_not_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    to_come = fail_next_calls(monkeypatch, delivery, "_record_delivery", InternalError("disk I/O error"))

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert to_come == []
    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_a_job_whose_model_was_taken_off_is_told_though_the_database_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    orphan = make_job(model="gone-model", state=JobState.QUEUED)
    async with first.app.database.write() as tx:
        await tx.jobs.add(orphan)
    await first.close()
    to_come = fail_next_calls(monkeypatch, completion, "fail", Unavailable("busy"))

    second = await reopened(first, tmp_path)
    await second.advance_time(10)

    assert to_come == []
    assert (await second.get_job(orphan.id)).notified_at is not None
    await second.close()


async def test_recovery_goes_on_looking_after_it_stumbled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    to_come = fail_next_calls(monkeypatch, JobStore, "unfinished", InternalError("disk I/O error"))
    await bench.advance_time(6)
    assert to_come == []
    fail_next_calls(monkeypatch, delivery, "_record_delivery", InternalError("disk I/O error"))

    await bench.say("/imagine a fox")
    await bench.advance_time(10)

    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_a_job_that_ends_while_recovery_looks_is_not_begun_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = JobStore.unfinished

    async def looking_long(self: JobStore, owner: str) -> list[str]:
        found = await look(self, owner)
        bench.backend.last_run.released.set()
        await bench.app.runner.drain(TIMEOUT_SECONDS)
        return found

    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    monkeypatch.setattr(JobStore, "unfinished", looking_long)

    await bench.advance_time(6)

    assert (await bench.get_job()).state is JobState.DELIVERED
    assert "job.lost" not in caplog.messages


# Whoever asked is gone.


async def test_an_ask_whose_caller_leaves_during_the_commit_is_still_worked_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, commit, hold = asyncio.get_running_loop(), SqliteConnection._commit, Credits.hold
    is_held, has_left, is_written = threading.Event(), threading.Event(), threading.Event()

    async def noted(*arguments: Any) -> None:
        await hold(*arguments)
        is_held.set()

    def leave() -> None:
        asking.cancel()
        has_left.set()

    def overtaken(self: SqliteConnection) -> None:
        is_the_ask = is_held.is_set() and not has_left.is_set()
        if is_the_ask:
            loop.call_soon_threadsafe(leave)
            has_left.wait(TIMEOUT_SECONDS)
        commit(self)
        if is_the_ask:
            is_written.set()

    monkeypatch.setattr(Credits, "hold", noted)
    monkeypatch.setattr(SqliteConnection, "_commit", overtaken)

    asking = asyncio.create_task(bench.say("/imagine a fox", key="web:left"))
    await asyncio.gather(asking, return_exceptions=True)
    assert await asyncio.to_thread(is_written.wait, TIMEOUT_SECONDS)
    await bench.advance_time(10)

    async with bench.app.database.read() as tx:
        row = await tx.jobs.get_by_request_key("web:left")
    assert row is not None
    assert row.state is JobState.DELIVERED
    assert await bench.list_open_holds() == []


# Another process takes over.


async def test_a_restart_with_the_network_down_keeps_jobs_being_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    away = BackendDown("The model service cannot be reached right now.")
    to_come = fail_next_calls(monkeypatch, first.backend, "find", away)

    second = await reopened(first, tmp_path)
    await second.advance_time(60)

    assert to_come == []
    assert second.last_message.reply.tone is Tone.DONE
    assert list(second.backend.runs) == ["run1"]
    await second.close()


async def test_a_clock_set_back_does_not_stall_jobs_being_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, an_hour_ago = await Bench.open(tmp_path), ManualClock()
    await first.clock.advance(3_600)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    monkeypatch.setattr(first.backend, "_clock", an_hour_ago)

    second = await reopened(first, tmp_path, clock=an_hour_ago)
    await second.advance_time(60)

    assert (await second.get_job()).state is not JobState.SUBMITTING
    await second.close()


async def test_a_job_of_another_platform_is_left_for_who_serves_it(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    left = await first.get_job()
    first.backend.last_run.released.set()
    await first.close()

    stranger = await reopened(first, tmp_path, platform=FakePlatform("console", first.clock))
    await stranger.wait_until_idle()
    untouched = (await stranger.get_job(left.id)).state
    await stranger.close()
    third = await reopened(first, tmp_path)
    await third.wait_until_idle()

    assert untouched is left.state
    assert (await third.get_job(left.id)).state is JobState.DELIVERED
    assert third.backend.cancelled == []
    await third.close()


# Stopping.


async def test_draining_waits_for_a_job_that_is_being_accepted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read, is_inside, gate = UsualTimes._read_seconds, asyncio.Event(), asyncio.Event()

    async def slow(self: UsualTimes, key: str) -> float | None:
        is_inside.set()
        await gate.wait()
        return await read(self, key)

    monkeypatch.setattr(UsualTimes, "_read_seconds", slow)
    asking = asyncio.create_task(bench.say("/imagine a fox"))
    await is_inside.wait()

    draining = asyncio.create_task(bench.app.drain())
    await settle()
    was_over_before = draining.done()
    gate.set()
    await asyncio.gather(asking, draining)

    assert not was_over_before
    assert (await bench.get_job()).state is JobState.DELIVERED


async def test_closing_lets_go_of_the_database_though_letting_go_of_jobs_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Bench.open(tmp_path)
    to_come = fail_next_calls(monkeypatch, WorkerStore, "remove", Unavailable("busy"))

    with pytest.raises(Unavailable):
        await first.close()

    second = await reopened(first, tmp_path)  # which a lock that is still held would refuse
    assert to_come == []
    await second.close()
