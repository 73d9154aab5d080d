"""Waiting for a turn, with the whole bot: fair, told, left at once, and kept through a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.catalogue.loading import BUILT_IN_PATH
from bot.core.jobs import JobState
from bot.core.people import User
from bot.core.replies import Stage, Tone
from bot.storage.policies import Policy
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.platform import ShownMessage
from tests.fakes.samples import ANA
from tests.postgres import PostgresServer

BEN, CLEO = User("web", "page", "ben", "Ben"), User("web", "page", "cleo", "Cleo")


def catalogue(folder: Path, at_once: int) -> Path:
    """The models of this bot, of which FLUX schnell allows few runs at once."""
    folder.mkdir(exist_ok=True)
    path = folder / "models.toml"
    text = BUILT_IN_PATH.read_text(encoding="utf-8")
    path.write_text(text.replace("[flux-schnell]\n", f"[flux-schnell]\nat_once = {at_once}\n"), encoding="utf-8")
    return path


async def opened(folder: Path, at_once: int = 1, url: str = "", **changes: object) -> Bench:
    """A bot whose runs of FLUX schnell hang until they are let go."""
    bench = await Bench.open(
        folder,
        url,
        catalogue_path=catalogue(folder, at_once),
        **changes,  # type: ignore[arg-type]  # handed on as they came
    )
    bench.backend.will(hangs_after=0)
    return bench


def drawn(bench: Bench) -> list[str]:
    """What was asked of the backend, in order."""
    return [str(run.inputs["prompt"]) for run in bench.backend.runs.values()]


async def end_all(bench: Bench) -> None:
    """Let runs go, one after the other, until nobody waits for one."""
    ended = 0

    def has_next_or_is_over() -> bool:
        return len(bench.backend.runs) > ended or not bench.app.runner.running_count

    await bench.wait_until(has_next_or_is_over)
    while ended < len(bench.backend.runs):
        list(bench.backend.runs.values())[ended].released.set()
        ended += 1
        await bench.wait_until(has_next_or_is_over)


def of(bench: Bench, who: User) -> list[ShownMessage]:
    return [message for message in bench.platform.messages.values() if message.destination.user == who]


async def test_a_person_with_many_jobs_holds_nobody_up(tmp_path: Path) -> None:
    bench = await opened(tmp_path, daily_credits=10_000, monthly_budget_usd=1_000)
    for n in range(12):
        await bench.say(f"/imagine ana {n}")
    await bench.say("/imagine ben", by=BEN)

    await end_all(bench)

    assert drawn(bench).index("ben") == 2  # behind the one that runs, and one more
    assert len(drawn(bench)) == 13
    assert await bench.list_open_holds() == []
    await bench.close()


async def test_a_tier_with_a_weight_gets_more_turns(tmp_path: Path) -> None:
    bench = await opened(tmp_path)
    gold = replace(BEN, roles=frozenset({"gold"}))
    async with bench.app.database.write() as tx:
        await tx.policies.put(Policy("web", "page", "role", "gold", "weight", 3, "owner", bench.clock.now()))
    for n in range(6):
        await bench.say(f"/imagine a{n}")
        await bench.say(f"/imagine b{n}", by=gold)

    await end_all(bench)

    first_eight = "".join(prompt[0] for prompt in drawn(bench)[1:9])
    assert first_eight.count("b") == 6
    await bench.close()


async def test_other_models_go_on_meanwhile(tmp_path: Path) -> None:
    bench = await opened(tmp_path)
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hen")
    bench.backend.will(hangs_after=None)

    await bench.say("/imagine an owl --model flux-dev")

    assert drawn(bench) == ["a fox", "an owl"]
    await bench.close()


async def test_the_place_and_the_expected_time_are_told_and_told_again_when_they_change(tmp_path: Path) -> None:
    bench = await opened(tmp_path)
    for n in range(4):
        await bench.say(f"/imagine {n}")
    waiting = bench.last_message
    assert len(waiting.history) == 1

    await bench.advance_time(10)
    first, edits = waiting.reply.progress, len(waiting.history)
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()
    await bench.advance_time(5)
    second = waiting.reply.progress

    assert first is not None
    assert second is not None
    assert (first.stage, first.queue_position, first.elapsed_seconds) == (Stage.QUEUED, 3, 1)
    assert first.usual_seconds == 1 + 6  # three runs of 1.5 s are in front, and its own takes as long
    assert edits == 2  # nothing changed for nine seconds
    assert second.queue_position == 2
    await end_all(bench)
    assert waiting.reply.tone is Tone.DONE
    await bench.close()


async def test_who_leaves_the_line_is_gone_at_once_and_pays_nothing(tmp_path: Path) -> None:
    bench = await opened(tmp_path)
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hen", by=BEN)
    await bench.say("/imagine an owl", by=CLEO)

    await bench.press("cancel", on=of(bench, BEN)[0], by=BEN)

    assert of(bench, BEN)[0].text == "⏹ Stopped."
    assert await bench.balance(BEN) == bench.starting_credits
    await end_all(bench)
    assert drawn(bench) == ["a fox", "an owl"]
    await bench.close()


async def test_a_restart_takes_the_waiting_up_in_their_old_order(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    for who, prompt in ((ANA, "a1"), (ANA, "a2"), (ANA, "a3"), (BEN, "b1"), (BEN, "b2"), (CLEO, "c1")):
        await first.say(f"/imagine {prompt}", by=who)
    await first.close()
    run = first.backend.last_run

    second = await opened(tmp_path, clock=first.clock, backend=first.backend, platform=first.platform)
    await second.wait_until_idle()
    assert len(second.backend.runs) == 1  # the one that ran before has its place

    run.released.set()
    await end_all(second)

    assert drawn(second) == ["a1", "a2", "b1", "c1", "a3", "b2"]
    assert len(second.platform.messages) == 6
    assert {message.reply.tone for message in second.platform.messages.values()} == {Tone.DONE}
    await second.close()


async def test_the_backend_lets_one_at_a_time_in_and_people_take_turns_there_too(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    for n in range(5):
        await bench.say(f"/imagine ana {n}")
    await bench.say("/imagine ben", by=BEN)
    await bench.advance_time(2)
    progress = bench.last_message.reply.progress
    assert progress is not None
    assert (progress.queue_position, progress.usual_seconds, bench.backend.waiting_count) == (2, None, 1)

    bench.backend.create_allowed.set()
    await bench.wait_until_idle()

    assert drawn(bench).index("ben") == 2


async def test_a_job_that_cannot_be_posted_waits_in_no_line(tmp_path: Path) -> None:
    bench = await opened(tmp_path)
    await bench.say("/imagine a fox")
    bench.platform.will_lose()

    await bench.say("/imagine a hen", by=BEN)

    assert [job.state for job in await bench.app.jobs.list_recent(BEN)] == [JobState.FAILED]
    assert await bench.balance(BEN) == bench.starting_credits
    await bench.close()


@pytest.mark.postgres
async def test_two_processes_share_what_a_model_allows(postgres_with_schema: PostgresServer, tmp_path: Path) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    one = await opened(tmp_path / "one", 2, url)
    other = await opened(tmp_path / "other", 2, url, clock=one.clock)
    await one.advance_time(2)  # a heartbeat, by which it knows of the other
    for n in range(3):
        await one.say(f"/imagine {n}")
    shared = len(one.backend.runs)

    await other.close()
    await one.advance_time(7)

    assert shared == 1
    assert len(one.backend.runs) == 2
    await end_all(one)
    assert [
        (await one.get_job(m.destination.nonce.partition(":")[0])).state for m in one.platform.messages.values()
    ] == [JobState.DELIVERED] * 3
    await one.close()
