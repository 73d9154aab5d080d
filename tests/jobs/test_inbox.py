"""Notices of a backend: written down once, and an unanswered create gets its run by them."""

from pathlib import Path

import pytest

from bot.core.backend import PredictionState, RunNotification
from bot.core.errors import Unavailable
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.storage.database import Database
from tests.bench import Bench
from tests.fakes.backend import TRANSIENT_ERROR


async def notices(bench: Bench, *ids: str) -> list[bool]:
    """Whether each of these is unknown yet."""
    async with bench.app.database.write() as tx:
        return [await tx.inbox.add(notice, "", bench.clock.now()) for notice in ids]


async def test_a_notice_is_news_once(bench: Bench) -> None:
    notice = RunNotification("msg_1", "nobody", "run9")

    assert [await bench.app.inbox.take(notice) for _ in range(3)] == [True, False, False]
    assert await notices(bench, "msg_1", "msg_2") == [False, True]


async def test_the_inbox_is_unique_on_either_engine(tmp_path: Path, database_url: str) -> None:
    bench = await Bench.open(tmp_path, database_url)
    taken = [await bench.app.inbox.take(RunNotification(f"msg_{n % 2}", "j", "r")) for n in range(4)]
    async with bench.app.database.write() as tx:
        forgotten = await tx.inbox.delete_before(bench.clock.now())
        await bench.clock.advance(1)
        forgotten_later = await tx.inbox.delete_before(bench.clock.now())
    await bench.close()

    assert taken == [True, True, False, False]
    assert (forgotten, forgotten_later) == (0, 2)


async def test_a_broken_create_is_adopted_at_once_when_its_webhook_comes(bench: Bench) -> None:
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


async def test_a_webhook_before_the_reply_to_the_create_changes_nothing(bench: Bench) -> None:
    submit = bench.backend.submit

    async def called_back_first(*arguments: object, **options: object) -> str:
        backend_id = await submit(*arguments, **options)  # type: ignore[arg-type]  # handed on as they came
        await bench.app.inbox.take(RunNotification("msg_1", str(options["job"]), backend_id))
        return backend_id

    bench.backend.submit = called_back_first  # type: ignore[method-assign]  # a witness
    await bench.say("/imagine a fox")

    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_webhook_while_the_bot_is_away_is_found_at_the_next_start(tmp_path: Path) -> None:
    """It reached another process, say, before the one that owns the job came back."""
    first = await Bench.open(tmp_path)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    job = await first.get_job()
    await first.app.runner.stop()
    await first.app.inbox.take(RunNotification("msg_1", job.id, first.backend.last_run.id))
    await first.close()

    second = await Bench.open(tmp_path, clock=first.clock, backend=first.backend, platform=first.platform)
    await second.wait_until_idle()

    assert (await second.get_job(job.id)).state is JobState.DELIVERED  # without the ten seconds of grace
    assert len(second.backend.runs) == 1
    await second.close()


@pytest.mark.parametrize("when", ["running", "delivered"])
async def test_a_notice_for_a_job_that_has_its_run_does_nothing(bench: Bench, when: str) -> None:
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


async def test_a_run_that_another_job_has_is_not_given_twice(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    bench.backend.unclear_submits = 1
    await bench.say("/imagine an owl")
    waiting = await bench.get_job()

    assert await bench.app.inbox.take(RunNotification("msg_1", waiting.id, "run1"))
    assert not await bench.app.inbox.take(RunNotification("msg_1", waiting.id, "run1"))

    assert (await bench.get_job(waiting.id)).state is JobState.SUBMITTING
    await bench.advance_time(11)
    assert (await bench.get_job(waiting.id)).state is JobState.DELIVERED


async def test_a_late_notice_of_the_first_run_is_not_taken_for_the_second(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR)
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    assert job.state is JobState.SUBMITTING
    bench.backend.will(error="")

    await bench.app.inbox.take(RunNotification("msg_1", job.id, "run1"))
    await bench.advance_time(6)

    assert [run.state for run in bench.backend.runs.values()] == [PredictionState.FAILED, PredictionState.SUCCEEDED]
    assert bench.last_message.reply.tone is Tone.DONE


async def test_a_second_create_whose_first_was_called_back_after_all_is_stopped(bench: Bench) -> None:
    """Unclear, not listed in time, sent again; and while that is on its way the first one's webhook comes."""
    bench.backend.lost_submits = 1
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    submit = bench.backend.submit
    called = []

    async def late(*arguments: object, **options: object) -> str:
        backend_id = await submit(*arguments, **options)  # type: ignore[arg-type]  # handed on as they came
        earlier = await submit(*arguments, **options)  # type: ignore[arg-type]  # handed on as they came
        called.append(await bench.app.inbox.take(RunNotification("msg_1", job.id, earlier)))
        return backend_id

    bench.backend.submit = late  # type: ignore[method-assign]  # a witness
    await bench.advance_time(11)

    assert called == [True]
    assert bench.backend.cancelled == ["run1"]
    assert (await bench.get_job(job.id)).state is JobState.DELIVERED
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_database_that_is_away_is_told_to_the_caller(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("locked")

    monkeypatch.setattr(Database, "write", away)
    with pytest.raises(Unavailable):
        await bench.app.inbox.take(RunNotification("msg_1", "j", "r"))
    monkeypatch.undo()
