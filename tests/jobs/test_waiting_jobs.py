"""Waiting for a run with the whole bot: fair, shown to the user, cancellable, kept through a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.catalogue.loading import BUILT_IN_PATH
from bot.core.jobs import JobState
from bot.core.people import BOT
from bot.core.replies import Stage, Tone
from bot.storage.policies import Policy
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.samples import ANA, BEN, CLEO
from tests.postgres import PostgresServer


def write_catalogue(folder: Path, at_once: int) -> Path:
    """Write a catalogue in which FLUX schnell allows `at_once` runs."""
    folder.mkdir(exist_ok=True)
    path = folder / "models.toml"
    text = BUILT_IN_PATH.read_text(encoding="utf-8")
    path.write_text(text.replace("[flux-schnell]\n", f"[flux-schnell]\nat_once = {at_once}\n"), encoding="utf-8")
    return path


async def open_bench(folder: Path, at_once: int = 1, url: str = "", **changes: object) -> Bench:
    """Start a bot with hanging runs of FLUX schnell."""
    bench = await Bench.open(
        folder,
        url,
        catalogue_path=write_catalogue(folder, at_once),
        **changes,  # type: ignore[arg-type]  # passed on unchanged
    )
    bench.backend.will(hangs_after=0)
    return bench


def list_prompts(bench: Bench) -> list[str]:
    """Return the prompts of all runs, in order."""
    return [str(run.inputs["prompt"]) for run in bench.backend.runs.values()]


async def release_all_runs(bench: Bench) -> None:
    """Release the runs in order until no job is left."""
    ended = 0

    def has_next_or_is_over() -> bool:
        return len(bench.backend.runs) > ended or not bench.app.runner.running_count

    await bench.wait_until(has_next_or_is_over)
    while ended < len(bench.backend.runs):
        list(bench.backend.runs.values())[ended].released.set()
        ended += 1
        await bench.wait_until(has_next_or_is_over)


async def test_a_user_with_many_jobs_delays_no_other_user(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path, daily_credits=10_000, monthly_budget_usd=1_000)
    for n in range(12):
        await bench.say(f"/imagine ana {n}")
    await bench.say("/imagine ben", by=BEN)

    await release_all_runs(bench)

    assert list_prompts(bench).index("ben") == 2  # behind the running job and another
    assert len(list_prompts(bench)) == 13
    assert await bench.list_open_holds() == []
    await bench.close()


async def test_a_role_with_a_weight_gets_more_runs(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path)
    gold = replace(BEN, roles=frozenset({"gold"}))
    async with bench.app.database.write() as tx:
        await tx.policies.put(Policy("web", "page", "role", "gold", "weight", 3, BOT, bench.clock.now()))
    for n in range(6):
        await bench.say(f"/imagine a{n}")
        await bench.say(f"/imagine b{n}", by=gold)

    await release_all_runs(bench)

    first_eight = "".join(prompt[0] for prompt in list_prompts(bench)[1:9])
    assert first_eight.count("b") == 6
    await bench.close()


async def test_other_models_run_while_one_is_at_its_limit(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path)
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hen")
    bench.backend.will(hangs_after=None)

    await bench.say("/imagine an owl --model flux-dev")

    assert list_prompts(bench) == ["a fox", "an owl"]
    await bench.close()


async def test_position_and_expected_time_are_shown_and_updated(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path)
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
    assert first.usual_seconds == 1 + 6  # three runs of 1.5 s in front, and the own run
    assert edits == 2  # no change for nine seconds
    assert second.queue_position == 2
    await release_all_runs(bench)
    assert waiting.reply.tone is Tone.DONE
    await bench.close()


async def test_a_cancelled_waiting_job_ends_at_once_and_costs_nothing(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path)
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hen", by=BEN)
    await bench.say("/imagine an owl", by=CLEO)

    await bench.press("cancel", on=bench.platform.list_messages_of(BEN)[0], by=BEN)

    assert bench.platform.list_messages_of(BEN)[0].text == "⏹ Stopped."
    assert await bench.balance(BEN) == bench.starting_credits
    await release_all_runs(bench)
    assert list_prompts(bench) == ["a fox", "an owl"]
    await bench.close()


async def test_a_restart_keeps_the_order_of_waiting_jobs(tmp_path: Path) -> None:
    first = await open_bench(tmp_path)
    for who, prompt in ((ANA, "a1"), (ANA, "a2"), (ANA, "a3"), (BEN, "b1"), (BEN, "b2"), (CLEO, "c1")):
        await first.say(f"/imagine {prompt}", by=who)
    await first.close()
    run = first.backend.last_run

    second = await open_bench(tmp_path, clock=first.clock, backend=first.backend, platform=first.platform)
    await second.wait_until_idle()
    assert len(second.backend.runs) == 1  # the running job kept the place

    run.released.set()
    await release_all_runs(second)

    assert list_prompts(second) == ["a1", "a2", "b1", "c1", "a3", "b2"]
    assert len(second.platform.messages) == 6
    assert {message.reply.tone for message in second.platform.messages.values()} == {Tone.DONE}
    await second.close()


async def test_creates_are_fair_between_users(bench: Bench) -> None:
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

    assert list_prompts(bench).index("ben") == 2


async def test_a_job_without_a_placeholder_joins_no_queue(tmp_path: Path) -> None:
    bench = await open_bench(tmp_path)
    await bench.say("/imagine a fox")
    bench.platform.will_lose()

    await bench.say("/imagine a hen", by=BEN)

    assert [job.state for job in await bench.app.jobs.list_recent(BEN)] == [JobState.FAILED]
    assert await bench.balance(BEN) == bench.starting_credits
    await bench.close()


@pytest.mark.postgres
async def test_two_processes_share_a_models_limit(postgres_with_schema: PostgresServer, tmp_path: Path) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    url = postgres_with_schema.url(WITH_SCHEMA)
    one = await open_bench(tmp_path / "one", 2, url)
    other = await open_bench(tmp_path / "other", 2, url, clock=one.clock)
    await one.advance_time(2)  # a heartbeat shows the other process
    for n in range(3):
        await one.say(f"/imagine {n}")
    shared = len(one.backend.runs)

    await other.close()
    await one.advance_time(7)

    assert shared == 1
    assert len(one.backend.runs) == 2
    await release_all_runs(one)
    assert [
        (await one.get_job(m.destination.nonce.partition(":")[0])).state for m in one.platform.messages.values()
    ] == [JobState.DELIVERED] * 3
    await one.close()
