"""Identical requests run once and are paid once, whatever happens to whoever asked first."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.predictions import Metrics, PredictionState
from bot.core.replies import MessageRef, Reply, Stage, Tone
from bot.core.storage import Policy
from bot.storage.jobs import SqlJobStore
from bot.storage.tables.runs import outputs
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.platform import Shown
from tests.fakes.rows import ANA, CHANNEL
from tests.postgres import PostgresServer

FOX = "/imagine a fox --seed 7"
PRICE = 3_000
PEOPLE = [User("web", "page", f"u{n}", f"User {n}") for n in range(10)]
BEN, CLEO = PEOPLE[1], PEOPLE[2]


async def ask(bench: Bench, who: User, **options: str | int | float | bool) -> Reply | None:
    given = {"prompt": "a fox", "seed": 7, **options}
    return await bench.app.dispatcher.handle(Invocation(who, CHANNEL, "imagine", f"web:{who.id}", given))


async def running(bench: Bench, *people: User, line: str = FOX) -> list[Shown]:
    """Each asks the same, one after the other, and the run of the first hangs; gives their messages."""
    bench.backend.will(hangs_after=0)
    for who in people:
        await bench.say(line, by=who, key=f"web:{who.id}:{line}")
    return [message for who in people for message in of(bench, who)]


def of(bench: Bench, who: User) -> list[Shown]:
    return [message for message in bench.platform.messages.values() if message.destination.user == who]


async def paid(bench: Bench, *people: User) -> list[int]:
    return [bench.starting_credits - await bench.balance(who) for who in people]


async def jobs_of(bench: Bench, who: User) -> list[Job]:
    return await bench.app.jobs.recent(who)


async def all_is_in_order(bench: Bench) -> bool:
    """Nothing is held any more, and the books agree."""
    async with bench.app.database.read() as tx:
        return not await tx.ledger.jobs_with_open_holds() and not await tx.books.disagreements(10)


async def end(bench: Bench) -> None:
    """Let every run go, until nobody waits for one."""

    def is_over() -> bool:
        for run in bench.backend.runs.values():
            run.let_go.set()
        return not bench.app.runner.running

    await bench.until(is_over)


async def test_ten_who_ask_the_same_at_once_share_one_run(tmp_path: Path, database_url: str) -> None:
    bench = await Bench.open(tmp_path, database_url)
    bench.backend.will(hangs_after=0)
    await asyncio.gather(*(ask(bench, who) for who in PEOPLE))
    await bench.rest()

    await end(bench)

    shown = list(bench.platform.messages.values())
    assert len(bench.backend.runs) == 1
    assert len(shown) == 10
    assert {message.reply.tone for message in shown} == {Tone.DONE}
    assert len({message.reply.pictures[0].sha256 for message in shown}) == 1
    assert sorted(await paid(bench, *PEOPLE)) == [0] * 9 + [PRICE]
    assert await bench.bot_spent() == PRICE
    assert sum("shared with an identical request just now · free" in message.reply.note for message in shown) == 9
    assert await all_is_in_order(bench)
    await bench.close()


async def test_a_follower_sees_from_the_start_that_it_is_free_and_that_it_runs(bench: Bench) -> None:
    _, follower = await running(bench, ANA, BEN)

    await bench.pass_time(6)

    assert "free" in follower.history[0].note
    assert "credits" not in follower.history[0].note
    assert follower.reply.progress is not None
    assert follower.reply.progress.stage is Stage.RUNNING


async def test_who_has_nothing_left_can_still_follow(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=3.0)
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a hen", by=BEN)
    await bench.say(FOX, by=ANA)

    await bench.say(FOX, by=BEN)
    await end(bench)

    assert [message.reply.tone for message in of(bench, BEN)] == [Tone.DONE, Tone.DONE]
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
async def test_what_is_not_identical_is_not_shared(bench: Bench, lines: tuple[str, str]) -> None:
    bench.backend.will(hangs_after=0)

    for line, who in zip(lines, (ANA, BEN), strict=True):
        await bench.say(line, by=who)

    assert len(bench.backend.runs) == 2


async def test_workspaces_do_not_share(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.app.dispatcher.services.moderation, "_always_allowed", frozenset({("web", "*")}))
    theirs, place = User("web", "T2", "zoe", "Zoe"), Channel("web", "T2", "c")
    strangers = Channel("web", "user-installs", "d")

    bench.backend.will(hangs_after=0)
    await bench.say(FOX)
    await bench.say(FOX, by=theirs, channel=place)
    for n in range(2):
        await bench.say(FOX, by=User("web", "user-installs", f"s{n}", "S"), channel=strangers)

    assert len(bench.backend.runs) == 4


async def test_a_private_request_is_shared_with_nobody(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    options: dict[str, str | int | float | bool] = {"prompt": "a fox", "seed": 7}
    await bench.app.dispatcher.handle(Invocation(ANA, CHANNEL, "imagine", "web:private", options, is_private=True))
    await bench.rest()

    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2


async def test_the_same_ask_delivered_twice_is_no_follower(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(FOX, key="web:same")
    await bench.say(FOX, key="web:same")

    assert len(await jobs_of(bench, ANA)) == len(bench.platform.messages) == 1


async def test_a_failed_run_is_told_to_all_and_paid_by_none(bench: Bench) -> None:
    bench.backend.will(error="out of memory")
    shown = await running(bench, ANA, BEN, CLEO)

    await end(bench)

    assert {m.text for m in shown} == {"⚠ The model failed: out of memory. You were not charged."}
    assert await paid(bench, ANA, BEN, CLEO) == [0, 0, 0]
    assert await bench.bot_spent() == 0
    assert await all_is_in_order(bench)


async def test_a_follower_who_stops_leaves_the_others_alone(bench: Bench) -> None:
    first, second, third = await running(bench, ANA, BEN, CLEO)

    await bench.press("cancel", on=second, by=BEN)
    assert second.text == "⏹ Stopped."
    await end(bench)

    assert bench.backend.cancelled == []
    assert (first.reply.tone, third.reply.tone) == (Tone.DONE, Tone.DONE)
    assert second.reply.pictures == ()
    assert await paid(bench, ANA, BEN, CLEO) == [PRICE, 0, 0]
    assert await all_is_in_order(bench)


async def test_a_leader_who_stops_gets_and_pays_what_was_asked_for_while_others_wait(bench: Bench) -> None:
    first, second = await running(bench, ANA, BEN)

    await bench.press("cancel", on=first)
    await bench.pass_time(6)

    assert bench.backend.cancelled == []
    assert "others asked for the very same, so it goes on" in first.reply.note
    await end(bench)
    assert (first.reply.tone, second.reply.tone) == (Tone.DONE, Tone.DONE)
    assert await paid(bench, ANA, BEN) == [PRICE, 0]
    assert await all_is_in_order(bench)


async def test_a_run_that_nobody_wants_any_more_is_stopped(bench: Bench) -> None:
    bench.backend.will(metrics=Metrics(predict_seconds=0.5))
    first, second = await running(bench, ANA, BEN, line="/imagine a fox --seed 7 --model sdxl")
    await bench.press("cancel", on=first)
    assert bench.backend.cancelled == []

    await bench.press("cancel", on=second, by=BEN)

    assert bench.backend.cancelled == ["run1"]
    assert (first.text, second.text) == ("⏹ Stopped.", "⏹ Stopped.")
    assert await paid(bench, ANA, BEN) == [488, 0]  # half a second of SDXL
    assert await all_is_in_order(bench)


async def test_a_leader_who_stops_in_line_pays_nothing_and_the_next_leads(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.RUNS_AT_ONCE", 1)
    bench = await Bench.open(tmp_path, database_url)
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a hen", by=PEOPLE[5])
    first, second, third = await running(bench, ANA, BEN, CLEO)

    await bench.press("cancel", on=first)
    await end(bench)

    assert first.text == "⏹ Stopped."
    assert len(bench.backend.runs) == 2
    assert (second.reply.tone, third.reply.tone) == (Tone.DONE, Tone.DONE)
    assert len(bench.platform.messages) == 4
    payers = await paid(bench, ANA, BEN, CLEO)
    assert payers[0] == 0
    assert sorted(payers) == [0, 0, PRICE]
    assert await all_is_in_order(bench)
    await bench.close()


async def test_who_cannot_pay_for_leading_is_told_so_and_the_next_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.RUNS_AT_ONCE", 1)
    bench = await Bench.open(tmp_path, daily_credits=3.0)
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a hen", by=BEN)
    first, _, second, third = await running(bench, ANA, BEN, CLEO)

    await bench.press("cancel", on=first)
    await end(bench)

    assert second.reply.tone is Tone.ERROR
    assert second.text.startswith("⚠ Somebody asked for the very same, and stopped it before it was made. You are 3 cr")
    assert third.reply.tone is Tone.DONE
    assert await paid(bench, ANA, BEN, CLEO) == [0, PRICE, PRICE]
    assert await all_is_in_order(bench)
    await bench.close()


async def test_a_leader_whose_message_cannot_be_posted_leaves_the_next_to_lead(bench: Bench) -> None:
    post, gate = bench.platform.post, asyncio.Event()

    async def refused(destination: Destination, reply: Reply) -> MessageRef:
        if destination.user == ANA:
            await gate.wait()
            raise MessageLost("I cannot post there.")
        return await post(destination, reply)

    bench.platform.post = refused  # type: ignore[method-assign]  # a channel that is closed to one of them
    await bench.say(FOX)
    await bench.say(FOX, by=BEN)
    assert bench.backend.runs == {}

    gate.set()
    await bench.rest()

    assert [job.state for job in await jobs_of(bench, ANA)] == [JobState.FAILED]
    assert [message.reply.tone for message in of(bench, BEN)] == [Tone.DONE]
    assert await paid(bench, ANA, BEN) == [0, PRICE]
    assert await all_is_in_order(bench)


async def test_a_crash_in_the_middle_serves_all(tmp_path: Path, database_url: str) -> None:
    first = await Bench.open(tmp_path, database_url)
    await running(first, ANA, BEN, CLEO)
    await first.close()
    first.backend.last.state = PredictionState.SUCCEEDED

    second = await Bench.open(tmp_path, database_url, clock=first.clock, backend=first.backend, platform=first.platform)
    await end(second)

    assert len(second.backend.runs) == 1
    assert [m.reply.tone for m in second.platform.messages.values()] == [Tone.DONE] * 3
    assert await paid(second, ANA, BEN, CLEO) == [PRICE, 0, 0]
    assert await all_is_in_order(second)
    await second.close()


@pytest.mark.postgres
async def test_a_follower_in_another_process_is_served_too(
    postgres_with_schema: PostgresServer, tmp_path: Path
) -> None:
    await postgres_with_schema.empty(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    one = await Bench.open(tmp_path / "one", url)
    other = await Bench.open(tmp_path / "other", url, clock=one.clock, backend=one.backend, platform=one.platform)
    other.app.media = one.app.media
    await running(one, ANA)
    await running(other, BEN)
    assert len(one.backend.runs) == 1

    await end(one)
    await one.pass_time(6)
    await end(other)

    assert [m.reply.tone for m in one.platform.messages.values()] == [Tone.DONE, Tone.DONE]
    assert await paid(one, ANA, BEN) == [PRICE, 0]
    assert await all_is_in_order(one)
    await other.close()
    await one.close()


async def test_one_who_deletes_takes_nothing_from_the_other(bench: Bench) -> None:
    first, second = await running(bench, ANA, BEN)
    await end(bench)
    sha256 = first.reply.pictures[0].sha256
    theirs = (await jobs_of(bench, BEN))[0]

    await bench.press("delete", on=first)
    after_one = (bench.app.media.path_of(sha256), len(await bench.app.jobs.outputs(theirs)))
    await bench.press("delete", on=second, by=BEN)

    assert after_one[0] is not None
    assert after_one[1] == 1
    assert bench.app.media.path_of(sha256) is None
    assert await bench.app.jobs.outputs(theirs) == []
    assert bench.platform.messages == {}
    assert await all_is_in_order(bench)


async def reusing(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.policies.put(Policy("web", "page", "workspace", "", "setting:reuse", True, "owner", bench.clock.now()))


async def test_an_identical_finished_request_runs_anew_unless_the_workspace_likes(bench: Bench) -> None:
    await bench.say(FOX)
    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2
    assert await paid(bench, ANA, BEN) == [PRICE, PRICE]


async def test_an_identical_finished_request_is_answered_from_what_was_kept(bench: Bench) -> None:
    await reusing(bench)
    await bench.say(FOX)

    await bench.say(FOX, by=BEN)
    await bench.say(FOX, by=CLEO)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert "kept from an identical request · free" in bench.last_message.reply.note
    assert bench.last_message.reply.pictures == of(bench, ANA)[0].reply.pictures
    assert await paid(bench, ANA, BEN, CLEO) == [PRICE, 0, 0]
    assert (await jobs_of(bench, CLEO))[0].state is JobState.DELIVERED
    assert await all_is_in_order(bench)


@pytest.mark.parametrize("gone", ["deleted", "file", "flagged"])
async def test_what_is_gone_or_flagged_is_not_reused(bench: Bench, gone: str) -> None:
    await reusing(bench)
    await bench.say(FOX)
    job, message = await bench.job(), bench.last_message
    if gone == "deleted":
        await bench.press("delete")
    elif gone == "file":
        await bench.app.media.remove(message.reply.pictures[0].sha256)
    else:
        await flag(bench, job)

    await bench.say(FOX, by=BEN)

    assert len(bench.backend.runs) == 2


async def flag(bench: Bench, job: Job) -> None:
    """As a model's safety filter does."""
    statement = sa.update(outputs).where(outputs.c.prediction == job.prediction).values(is_flagged=True)
    async with bench.app.database.write() as tx:
        await cast(SqlJobStore, tx.jobs)._run(statement)
