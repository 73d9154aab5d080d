"""With the setting `reuse`, identical requests get the kept result of a finished request, free of charge."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import MessageRef, Reply, Tone
from bot.credits.ledger import verify_ledger
from bot.storage.policies import Policy
from bot.storage.tables.jobs import outputs
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, CLEO, OWNER

FOX = "/imagine a fox --seed 7"
PRICE = 3_000


async def list_paid_micros(bench: Bench, *people: User) -> list[int]:
    return [bench.starting_credits - await bench.balance(who) for who in people]


async def list_jobs_of(bench: Bench, who: User) -> list[Job]:
    return await bench.app.jobs.list_recent(who)


async def is_ledger_clean(bench: Bench) -> bool:
    """Return whether no hold is open and all rows of money agree."""
    report = await verify_ledger(bench.app.database, bench.clock.now())
    return not report.discrepancies and not await bench.list_open_holds()


async def allow_reuse(bench: Bench, workspace: str = "page") -> None:
    policy = Policy("web", workspace, "workspace", "", "setting:reuse", True, OWNER.actor, bench.clock.now())
    async with bench.app.database.write() as tx:
        await tx.policies.put(policy)


async def test_identical_requests_run_anew_without_the_setting(bench: Bench) -> None:
    await bench.say(FOX)
    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2
    assert await list_paid_micros(bench, ANA, BEN) == [PRICE, PRICE]


async def test_an_identical_request_reuses_the_kept_result_for_nothing(bench: Bench) -> None:
    await allow_reuse(bench)
    await bench.say(FOX)

    await bench.say(FOX, by=BEN)
    await bench.say(FOX, by=CLEO)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert "kept from an identical request · free" in bench.last_message.reply.note
    assert bench.last_message.reply.pictures == bench.platform.list_messages_of(ANA)[0].reply.pictures
    assert await list_paid_micros(bench, ANA, BEN, CLEO) == [PRICE, 0, 0]
    assert (await list_jobs_of(bench, CLEO))[0].state is JobState.DELIVERED
    assert await is_ledger_clean(bench)


@pytest.mark.parametrize("gone", ["deleted", "file", "flagged"])
async def test_deleted_or_flagged_results_are_not_reused(bench: Bench, gone: str) -> None:
    await allow_reuse(bench)
    await bench.say(FOX)
    job, message = await bench.get_job(), bench.last_message
    if gone == "deleted":
        await bench.press("delete")
    elif gone == "file":
        await bench.app.media.remove(message.reply.pictures[0].sha256)
    else:
        await flag_outputs(bench, job)

    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2


async def flag_outputs(bench: Bench, job: Job) -> None:
    """Flag a result as a model's safety filter does."""
    statement = sa.update(outputs).where(outputs.c.prediction == job.prediction).values(is_flagged=True)
    async with bench.app.database.write() as tx:
        await tx.jobs._run(statement)


async def test_identical_requests_in_flight_at_once_run_and_are_paid_each(bench: Bench) -> None:
    await allow_reuse(bench)
    bench.backend.will(hangs_after=0)
    await bench.say(FOX)
    await bench.say(FOX, by=BEN)

    for run in bench.backend.runs.values():
        run.released.set()
    await bench.wait_until(lambda: not bench.app.runner.running_count)

    assert len(bench.backend.runs) == 2
    assert await list_paid_micros(bench, ANA, BEN) == [PRICE, PRICE]
    assert await is_ledger_clean(bench)


async def test_a_user_without_credits_can_still_reuse(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=3.0)
    await allow_reuse(bench)
    await bench.say("/imagine a hen", by=BEN)
    await bench.say(FOX, by=ANA)

    await bench.say(FOX, by=BEN)

    assert [message.reply.tone for message in bench.platform.list_messages_of(BEN)] == [Tone.DONE, Tone.DONE]
    await bench.close()


@pytest.mark.parametrize(
    "lines",
    [
        (FOX, "/imagine a fox --seed 8"),
        ("/imagine a fox", "/imagine a fox"),
        (FOX, "/imagine a hen --seed 7"),
        (FOX, "/imagine a fox --seed 7 --count 2"),
        (FOX, "/imagine a fox --seed 7 --model flux-dev"),
        (FOX, "/imagine a fox"),
    ],
    ids=["another seed", "no seed", "another prompt", "another count", "another model", "one seed"],
)
async def test_different_requests_are_not_reused(bench: Bench, lines: tuple[str, str]) -> None:
    await allow_reuse(bench)

    for line, who in zip(lines, (ANA, BEN), strict=True):
        await bench.say(line, by=who)

    assert len(bench.backend.runs) == 2


async def test_workspaces_do_not_reuse_from_each_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.app.dispatcher.services.moderation, "_always_allowed", frozenset({("web", "*")}))
    for workspace in ("page", "T2", "user-installs"):
        await allow_reuse(bench, workspace)
    theirs, place = User("web", "T2", "zoe", "Zoe"), Channel("web", "T2", "c")
    strangers = Channel("web", "user-installs", "d")

    await bench.say(FOX)
    await bench.say(FOX, by=theirs, channel=place)
    for n in range(2):
        await bench.say(FOX, by=User("web", "user-installs", f"s{n}", "S"), channel=strangers)

    assert len(bench.backend.runs) == 4


async def test_a_private_result_is_not_reused(bench: Bench) -> None:
    await allow_reuse(bench)
    options: dict[str, str | int | float | bool] = {"prompt": "a fox", "seed": 7}
    await bench.app.dispatcher.handle(Invocation(ANA, CHANNEL, "imagine", "web:private", options, is_private=True))
    await bench.wait_until_idle()

    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2


async def test_deleting_a_reused_result_leaves_the_other_jobs_result(bench: Bench) -> None:
    await allow_reuse(bench)
    await bench.say(FOX)
    await bench.say(FOX, by=BEN)
    (first,), (second,) = bench.platform.list_messages_of(ANA), bench.platform.list_messages_of(BEN)
    sha256 = first.reply.pictures[0].sha256
    theirs = (await list_jobs_of(bench, BEN))[0]

    await bench.press("delete", on=first)
    after_one = (bench.app.media.find_path(sha256), len(await bench.app.jobs.list_outputs(theirs)))
    await bench.press("delete", on=second, by=BEN)

    assert after_one[0] is not None
    assert after_one[1] == 1
    assert bench.app.media.find_path(sha256) is None
    assert await bench.app.jobs.list_outputs(theirs) == []
    assert bench.platform.messages == {}
    assert await is_ledger_clean(bench)


async def test_a_reusing_job_that_is_stopped_ends_without_the_result(bench: Bench) -> None:
    await allow_reuse(bench)
    await bench.say(FOX)
    post, gate = bench.platform.post, asyncio.Event()

    async def post_late(destination: Destination, reply: Reply) -> MessageRef:
        await gate.wait()
        return await post(destination, reply)

    bench.platform.post = post_late  # type: ignore[method-assign]  # a slow platform
    await bench.say(FOX, by=BEN)
    (job,) = await list_jobs_of(bench, BEN)
    await bench.app.jobs.cancel(job, BEN)
    gate.set()
    await bench.wait_until_idle()

    assert (await list_jobs_of(bench, BEN))[0].state is JobState.CANCELLED
    assert bench.platform.list_messages_of(BEN)[0].text == "⏹ Stopped."
    assert bench.platform.list_messages_of(ANA)[0].reply.pictures
    assert await is_ledger_clean(bench)


async def test_a_reusing_job_is_served_after_a_crash(tmp_path: Path, database_url: str) -> None:
    first = await Bench.open(tmp_path, database_url)
    await allow_reuse(first)
    await first.say(FOX)
    post, gate = first.platform.post, asyncio.Event()

    async def post_after_crash(destination: Destination, reply: Reply) -> MessageRef:
        await gate.wait()
        return await post(destination, reply)

    first.platform.post = post_after_crash  # type: ignore[method-assign]  # the process ends before the platform answers
    await first.say(FOX, by=BEN)
    await first.close()
    first.platform.post = post  # type: ignore[method-assign]  # works again

    second = await first.open_again(tmp_path, database_url)
    await second.wait_until(lambda: not second.app.runner.running_count)

    assert len(second.backend.runs) == 1
    assert [message.reply.tone for message in second.platform.list_messages_of(BEN)] == [Tone.DONE]
    assert await list_paid_micros(second, ANA, BEN) == [PRICE, 0]
    assert await is_ledger_clean(second)
    await second.close()
