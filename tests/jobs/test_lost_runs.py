"""Runs of servers that keep nothing: a lost run is never created again, and ends as the owner says."""

from pathlib import Path

import pytest

from bot.core.backend import LostRuns
from bot.core.errors import RunLost
from bot.core.jobs import JobState
from tests.bench import Bench
from tests.fakes.backend import ScriptedBackend, make_png
from tests.fakes.clock import ManualClock

PRICE_MICROS = 3_000


async def open_bench(folder: Path, lost_runs: LostRuns) -> Bench:
    clock = ManualClock()
    backend = ScriptedBackend(clock, lost_runs=lost_runs)
    backend.finds_runs = False
    return await Bench.open(folder, clock=clock, backend=backend)


@pytest.mark.parametrize(("lost_runs", "paid"), [(LostRuns.REFUND, 0), (LostRuns.CHARGE, PRICE_MICROS)])
async def test_an_unclear_create_is_never_repeated(tmp_path: Path, lost_runs: LostRuns, paid: int) -> None:
    bench = await open_bench(tmp_path, lost_runs)
    bench.backend.lost_submits = 1

    await bench.say("/imagine a fox")

    assert bench.last_text.endswith("you were charged." if paid else "You were not charged.")
    assert len(bench.backend.runs) == 0
    assert await bench.balance() == bench.starting_credits - paid
    assert await bench.list_open_holds() == []
    assert (await bench.get_job()).state is JobState.FAILED
    await bench.close()


@pytest.mark.parametrize(("lost_runs", "paid"), [(LostRuns.REFUND, 0), (LostRuns.CHARGE, PRICE_MICROS)])
async def test_a_run_that_a_restart_lost_ends_as_the_owner_says(tmp_path: Path, lost_runs: LostRuns, paid: int) -> None:
    first = await open_bench(tmp_path, lost_runs)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    await first.close()
    first.backend.watch_errors = [RunLost("I was restarted while this ran.")]

    second = await first.open_again(tmp_path)
    await second.wait_until_idle()

    ending = "The run may have cost my owner money: you were charged." if paid else "You were not charged."
    assert second.last_text == f"⚠ I was restarted while this ran. {ending}"
    assert len(second.backend.runs) == 1
    assert await second.balance() == second.starting_credits - paid
    assert await second.list_open_holds() == []
    await second.close()


async def test_a_job_of_a_server_that_is_not_configured_any_more_is_refunded(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await first.say("/imagine a fox")
    await first.close()

    second = await first.open_again(tmp_path, backend=ScriptedBackend(first.clock, name="other"))
    await second.wait_until_idle()

    assert second.last_text.endswith("is not offered any more. You were not charged.")
    assert await second.list_open_holds() == []
    await second.close()


async def test_a_server_runs_as_many_models_at_once_as_its_table_says(tmp_path: Path) -> None:
    clock = ManualClock()
    bench = await Bench.open(tmp_path, clock=clock, backend=ScriptedBackend(clock, at_once=1))
    bench.backend.will(hangs_after=0)

    await bench.say("/imagine a fox")
    await bench.say("/imagine an owl --model flux-dev")
    waiting = len(bench.backend.runs)
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()

    assert waiting == 1
    assert len(bench.backend.runs) == 2
    await bench.close()


async def test_bytes_are_kept_like_files_at_addresses(bench: Bench) -> None:
    kept = await bench.app.media.take_output(make_png())

    assert (kept.mime, kept.width) == ("image/png", 32)
