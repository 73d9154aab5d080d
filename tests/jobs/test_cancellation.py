"""Cancelling a job works in each state, for authorised users only."""

import asyncio
from pathlib import Path

import pytest

from bot.core.errors import BackendError
from bot.core.jobs import JobState
from bot.core.people import Channel, User
from bot.jobs.work import UsualTimes
from tests.bench import Bench
from tests.fakes.samples import ANA, make_job


async def test_a_cancel_during_recovery_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    await first.close()
    read, gate = UsualTimes._read_seconds, asyncio.Event()

    async def slow(self: UsualTimes, key: str) -> float | None:
        await gate.wait()
        return await read(self, key)

    monkeypatch.setattr(UsualTimes, "_read_seconds", slow)
    second = await first.open_again(tmp_path)

    is_promised = await second.app.jobs.cancel(await second.get_job(), ANA)
    gate.set()
    await second.wait_until_idle()

    assert is_promised
    assert second.backend.cancelled == ["run1"]
    assert (await second.get_job()).state is JobState.CANCELLED
    await second.close()


async def test_a_cancelled_job_sends_no_second_create(bench: Bench) -> None:
    bench.backend.lost_submits = 1
    await bench.say("/imagine a fox")

    await bench.press("cancel")
    await bench.advance_time(15)

    assert bench.backend.runs == {}
    assert (await bench.get_job()).state is JobState.CANCELLED
    assert await bench.balance() == bench.starting_credits


async def test_a_cancel_while_all_slots_are_taken_ends_the_job_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.MAX_CONCURRENT_RUNS", 1)
    bench = await Bench.open(tmp_path)
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hen")

    await bench.press("cancel")

    assert bench.backend.cancelled == []
    assert (await bench.get_job()).state is JobState.CANCELLED
    assert await bench.balance() == bench.starting_credits - 3_000  # the hold of the first job
    await bench.close()


async def test_a_cancel_that_the_backend_refuses_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.backend.will(hangs_after=0)
    bench.backend.cancel_error = BackendError("This run cannot be cancelled.")
    await bench.say("/imagine a fox")

    await bench.press("cancel")

    assert bench.backend.cancelled == ["run1"]
    assert "background.task_failed" in [record.message for record in caplog.records]


async def test_two_simultaneous_cancels_both_succeed(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    running = await bench.get_job()

    told = await asyncio.gather(bench.app.jobs.cancel(running, ANA), bench.app.jobs.cancel(running, ANA))
    await bench.wait_until_idle()

    assert list(told) == [True, True]
    assert bench.backend.cancelled == [bench.backend.last_run.id]


async def test_an_equal_user_id_of_another_workspace_cannot_cancel(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack's user ids are unique within a team only."""
    ours, theirs = User("web", "T1", "U1", "Ana"), User("web", "T2", "U1", "Ann")
    row = make_job(user=ours, channel=Channel("web", "T1", "c"))
    async with bench.app.database.write() as tx:
        await tx.jobs.add(row)
    monkeypatch.setattr(bench.app.dispatcher.services.moderation, "_always_allowed", frozenset({("web", "*")}))

    refused = await bench.say(f"/cancel {row.id}", by=theirs, channel=Channel("web", "T2", "d"))
    allowed = await bench.say(f"/cancel {row.id}", by=ours, channel=row.channel)

    assert refused is not None
    assert refused.text.startswith("You have no job called")
    assert allowed is not None
    assert allowed.text.startswith("Stopping")
