"""Webhook notifications are stored once, and bind runs to unanswered creates."""

from pathlib import Path

import pytest

from bot.core.backend import PredictionState, RunNotification
from bot.core.errors import Unavailable
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.storage.database import Database
from tests.bench import Bench
from tests.fakes.backend import TRANSIENT_ERROR


async def add_notifications(bench: Bench, *ids: str) -> list[bool]:
    """Add notification ids; return for each whether the id is new."""
    async with bench.app.database.write() as tx:
        return [await tx.inbox.add(notice, "", bench.clock.now()) for notice in ids]


async def test_a_notification_is_new_once(bench: Bench) -> None:
    notice = RunNotification("msg_1", "nobody", "run9")

    assert [await bench.app.inbox.take(notice) for _ in range(3)] == [True, False, False]
    assert await add_notifications(bench, "msg_1", "msg_2") == [False, True]


async def test_notification_ids_are_unique_on_both_engines(tmp_path: Path, database_url: str) -> None:
    bench = await Bench.open(tmp_path, database_url)
    taken = [await bench.app.inbox.take(RunNotification(f"msg_{n % 2}", "j", "r")) for n in range(4)]
    async with bench.app.database.write() as tx:
        forgotten = await tx.inbox.delete_before(bench.clock.now())
        await bench.clock.advance(1)
        forgotten_later = await tx.inbox.delete_before(bench.clock.now())
    await bench.close()

    assert taken == [True, True, False, False]
    assert (forgotten, forgotten_later) == (0, 2)


async def test_a_webhook_for_an_unclear_create_lets_the_job_adopt_the_run_at_once(bench: Bench) -> None:
    bench.backend.unclear_submits = 1
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    assert job.state is JobState.SUBMITTING

    assert await bench.app.inbox.take(RunNotification("msg_1", job.id, bench.backend.last_run.id))
    await bench.wait_until_idle()

    assert (await bench.get_job(job.id)).state is JobState.DELIVERED  # and the clock stood still
    assert len(bench.backend.runs) == 1
    assert await bench.balance() == bench.starting_credits - 3_000
    assert await bench.list_open_holds() == []


async def test_a_webhook_before_the_reply_to_its_create_changes_nothing(bench: Bench) -> None:
    submit = bench.backend.submit

    async def submit_after_webhook(*arguments: object, **options: object) -> str:
        backend_id = await submit(*arguments, **options)  # type: ignore[arg-type]  # passed on unchanged
        await bench.app.inbox.take(RunNotification("msg_1", str(options["job"]), backend_id))
        return backend_id

    bench.backend.submit = submit_after_webhook  # type: ignore[method-assign]  # records the calls
    await bench.say("/imagine a fox")

    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_run_bound_while_the_owner_is_away_is_adopted_at_the_next_start(tmp_path: Path) -> None:
    """The webhook may reach another process before the owner of the job restarts."""
    first = await Bench.open(tmp_path)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    job = await first.get_job()
    await first.app.runner.stop()
    await first.app.inbox.take(RunNotification("msg_1", job.id, first.backend.last_run.id))
    await first.close()

    second = await first.open_again(tmp_path)
    await second.wait_until_idle()

    assert (await second.get_job(job.id)).state is JobState.DELIVERED  # without the ten seconds of grace
    assert len(second.backend.runs) == 1
    await second.close()


@pytest.mark.parametrize("when", ["running", "delivered"])
async def test_a_notification_for_a_job_with_a_run_changes_nothing(bench: Bench, when: str) -> None:
    if when == "running":
        bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    before = await bench.get_job()

    assert await bench.app.inbox.take(RunNotification("msg_1", before.id, "another"))

    assert await bench.get_job() == before
    async with bench.app.database.read() as tx:
        record = await tx.predictions.get(before.prediction)
    assert record is not None
    assert record.backend_id == "run1"


async def test_a_run_of_another_job_is_not_adopted(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    bench.backend.unclear_submits = 1
    await bench.say("/imagine an owl")
    waiting = await bench.get_job()

    assert await bench.app.inbox.take(RunNotification("msg_1", waiting.id, "run1"))
    assert not await bench.app.inbox.take(RunNotification("msg_1", waiting.id, "run1"))

    assert (await bench.get_job(waiting.id)).state is JobState.SUBMITTING
    await bench.advance_time(11)
    assert (await bench.get_job(waiting.id)).state is JobState.DELIVERED


async def test_a_late_notification_of_the_first_run_is_not_bound_to_the_second(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR)
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    assert job.state is JobState.SUBMITTING
    bench.backend.will(error="")

    await bench.app.inbox.take(RunNotification("msg_1", job.id, "run1"))
    await bench.advance_time(6)

    assert [run.state for run in bench.backend.runs.values()] == [PredictionState.FAILED, PredictionState.SUCCEEDED]
    assert bench.last_message.reply.tone is Tone.DONE


async def test_a_repeated_create_is_cancelled_when_the_webhook_of_the_first_arrives(bench: Bench) -> None:
    """The first create is unclear and not listed in time; its webhook arrives during the second create."""
    bench.backend.lost_submits = 1
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    submit = bench.backend.submit
    called = []

    async def submit_twice(*arguments: object, **options: object) -> str:
        backend_id = await submit(*arguments, **options)  # type: ignore[arg-type]  # passed on unchanged
        earlier = await submit(*arguments, **options)  # type: ignore[arg-type]  # passed on unchanged
        called.append(await bench.app.inbox.take(RunNotification("msg_1", job.id, earlier)))
        return backend_id

    bench.backend.submit = submit_twice  # type: ignore[method-assign]  # records the calls
    await bench.advance_time(11)

    assert called == [True]
    assert bench.backend.cancelled == ["run1"]
    assert (await bench.get_job(job.id)).state is JobState.DELIVERED
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_an_unavailable_database_is_raised_to_the_webhook_receiver(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("locked")

    monkeypatch.setattr(Database, "write", away)
    with pytest.raises(Unavailable):
        await bench.app.inbox.take(RunNotification("msg_1", "j", "r"))
    monkeypatch.undo()
