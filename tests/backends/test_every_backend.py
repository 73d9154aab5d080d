"""The contract of all backends, through the whole bot: result, price, stop, faults, restart, and nothing run twice."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import BackendDown, BackendRefusedToken
from bot.core.jobs import JobState
from bot.core.replies import Tone
from tests.backends.conftest import require_package
from tests.backends.machines import (
    MACHINE_KEY,
    MACHINES,
    MACHINES_THAT_FORGET,
    MACHINES_WITH_KEYS,
    BackendMachine,
    Behaviour,
)
from tests.backends.own_bench import OwnBench, open_own_bench
from tests.fakes.backend import make_png


def list_params(names: Iterable[str]) -> list[Any]:
    """Return the machines, with the mark of those on a real server."""
    return [pytest.param(name, marks=pytest.mark.servers if name == "cog" else ()) for name in names]


@pytest.fixture(params=list_params(MACHINES))
async def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BackendMachine]:
    monkeypatch.setenv("MACHINE_KEY", MACHINE_KEY)
    monkeypatch.setattr("bot.backends.replicate.api._INITIAL_WAIT_SECONDS", 0.02)
    # A lost run of an own Cog server is run once more after a pause.
    monkeypatch.setattr("bot.jobs.completion.RETRY_DELAY", timedelta(0))
    if request.param == "cog":
        require_package("cog", request.config)
    async with MACHINES[request.param]() as opened:
        yield opened


@pytest.fixture
async def bench(machine: BackendMachine, tmp_path: Path) -> AsyncIterator[OwnBench]:
    async with open_own_bench(tmp_path, machine.catalogue, changes=machine.changes) as opened:
        yield opened


async def test_a_run_ends_with_its_result_at_the_published_price(machine: BackendMachine, bench: OwnBench) -> None:
    await bench.run(machine.direct(Behaviour.ENDS))

    assert bench.last.reply.tone is Tone.DONE
    assert bench.last.text or bench.last.reply.pictures
    assert machine.price_micros in (None, await bench.paid_micros())
    assert machine.count_runs() == 1
    assert (await bench.last_job()).backend == machine.name


async def test_a_given_picture_reaches_the_model(machine: BackendMachine, bench: OwnBench) -> None:
    machine.direct(Behaviour.ENDS)

    await bench.run(machine.line_with_picture, image=make_png())

    assert bench.last.reply.tone is Tone.DONE
    assert machine.has_seen_picture()


async def test_stop_ends_the_run_at_the_server(machine: BackendMachine, bench: OwnBench) -> None:
    await bench.ask(machine.direct(Behaviour.HANGS))
    await bench.wait_until(lambda: machine.count_open_runs() == 1)

    await bench.press("cancel")
    await bench.wait_until_done()

    await bench.wait_until(lambda: machine.count_open_runs() == 0)
    assert (await bench.last_job()).state is JobState.CANCELLED
    assert await bench.paid_micros() <= (machine.price_micros or 1_000_000)


async def test_a_failed_run_is_one_sentence_and_free(machine: BackendMachine, bench: OwnBench) -> None:
    text = await bench.run(machine.direct(Behaviour.FAILS))

    assert "out of memory" in text
    assert "\n" not in text
    assert bench.last.reply.tone is Tone.ERROR
    assert await bench.paid_micros() == 0
    assert machine.count_runs() == 1


async def test_a_restart_in_the_middle_loses_no_money_and_runs_nothing_twice(
    machine: BackendMachine, tmp_path: Path
) -> None:
    async with open_own_bench(tmp_path, machine.catalogue, changes=machine.changes) as first:
        await first.ask(machine.direct(Behaviour.HANGS))
        await first.wait_until(lambda: machine.count_open_runs() == 1)
        await first.wait_until_running()

    async with open_own_bench(tmp_path, machine.catalogue, first.platform, machine.changes) as second:
        if machine.goes_on:
            await second.wait_until(lambda: machine.count_open_runs() == 1)
            await second.wait_until_running()
            await second.press("cancel")
        await second.wait_until_done()

        await second.wait_until(lambda: machine.count_open_runs() == 0)
        expected = JobState.CANCELLED if machine.goes_on else JobState.FAILED
        assert (await second.last_job()).state is expected
        assert machine.count_runs() == (2 if machine.repeats else 1)
        assert machine.goes_on or second.last.text.endswith("You were not charged.")
        assert machine.goes_on or await second.paid_micros() == 0


@pytest.mark.parametrize("machine", list_params(MACHINES_THAT_FORGET), indirect=True)
async def test_a_server_that_dies_in_the_middle_costs_nothing(machine: BackendMachine, bench: OwnBench) -> None:
    await bench.ask(machine.direct(Behaviour.HANGS))
    await bench.wait_until(lambda: machine.count_open_runs() == 1)
    await bench.wait_until_running()

    await machine.stop()
    await bench.wait_until_done()

    assert bench.last.reply.tone is Tone.ERROR
    assert bench.last.text.strip()
    assert await bench.paid_micros() == 0
    assert machine.count_runs() == 1


async def test_a_server_that_is_away_is_named_and_costs_nothing(machine: BackendMachine, bench: OwnBench) -> None:
    line = machine.direct(Behaviour.ENDS)
    await machine.stop()

    text = await bench.run(line)

    assert "cannot be reached right now" in text
    assert await bench.paid_micros() == 0
    with pytest.raises(BackendDown):
        await bench.app.backends[machine.name].probe()


@pytest.mark.parametrize("name", MACHINES_WITH_KEYS)
async def test_a_wrong_key_is_named_and_never_shown(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACHINE_KEY", "sk-another-key-0987654321")
    async with MACHINES[name]() as machine, open_own_bench(tmp_path, machine.catalogue) as bench:
        text = await bench.run(machine.direct(Behaviour.ENDS))

        assert "does not accept the bot's key" in text
        assert "0987654321" not in str(bench.last.history)
        assert await bench.paid_micros() == 0
        with pytest.raises(BackendRefusedToken):
            await bench.app.backends[machine.name].probe()
