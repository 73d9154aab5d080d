"""A job never pays for two creates, whatever breaks around a create."""

from pathlib import Path

import pytest

from bot.core.errors import BackendDown
from bot.core.jobs import JobState
from bot.core.replies import Tone
from tests.bench import Bench


async def test_the_run_of_a_create_that_broke_after_it_arrived_is_adopted(bench: Bench) -> None:
    bench.backend.unclear_submits = 1

    await bench.say("/imagine a fox")
    await bench.advance_time(11)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_create_that_never_arrived_is_repeated(bench: Bench) -> None:
    bench.backend.lost_submits = 1

    await bench.say("/imagine a fox")
    assert bench.backend.runs == {}
    await bench.advance_time(11)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE


async def test_a_run_is_adopted_though_the_backends_clock_is_behind(bench: Bench) -> None:
    bench.backend.clock_lag_seconds = 25  # by that clock, the run is older than its create
    bench.backend.unclear_submits = 1

    await bench.say("/imagine a fox")
    await bench.advance_time(11)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert await bench.get_bot_spent_micros() == 3_000


async def test_equal_requests_adopt_different_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 7)
    bench.backend.unclear_submits = 2

    await bench.say("/imagine a fox")
    await bench.say("/imagine a fox")
    await bench.advance_time(11)

    assert len(bench.backend.runs) == 2
    assert [message.reply.tone for message in bench.platform.messages.values()] == [Tone.DONE, Tone.DONE]


async def test_a_create_that_always_breaks_fails_without_a_charge(bench: Bench) -> None:
    bench.backend.lost_submits = 99

    await bench.say("/imagine a fox")
    await bench.advance_time(40)

    assert bench.last_text == "⚠ The model's service breaks off every time I ask. Please try again later."
    assert await bench.balance() == bench.starting_credits


async def test_a_restart_during_a_create_adopts_its_run(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.unclear_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    assert (first.backend.last_run.id, len(first.platform.messages)) == ("run1", 1)

    second = await first.open_again(tmp_path)
    await second.advance_time(11)

    assert list(second.backend.runs) == ["run1"]
    assert len(second.platform.messages) == 1
    assert second.last_message.reply.tone is Tone.DONE
    assert await second.balance() == second.starting_credits - 3_000
    await second.close()


async def test_no_create_is_repeated_after_an_hour(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    first.backend.lost_submits = 1
    await first.say("/imagine a fox")
    await first.close()
    await first.clock.advance(3_700)

    second = await first.open_again(tmp_path)
    await second.wait_until_idle()

    assert second.backend.runs == {}
    assert second.last_text.startswith("⚠ I was away for too long to know whether this ran.")
    assert await second.balance() == second.starting_credits
    await second.close()


async def test_the_row_is_submitting_before_the_create_is_sent(bench: Bench) -> None:
    states: list[JobState] = []
    submit = bench.backend.submit

    async def watched(*arguments: object, **options: object) -> str:
        states.append((await bench.get_job()).state)
        return await submit(*arguments, **options)  # type: ignore[arg-type]  # passed on unchanged

    bench.backend.submit = watched  # type: ignore[method-assign]  # records the states
    await bench.say("/imagine a fox")

    assert states == [JobState.SUBMITTING]


async def test_the_button_of_a_failed_create_repeats_the_request(bench: Bench) -> None:
    bench.backend.submit_error = BackendDown("The model service cannot be reached.")
    await bench.say("/imagine a fox --seed 7")
    bench.backend.submit_error = None

    await bench.press("retry")

    assert bench.backend.last_run.inputs["seed"] == 7
    assert bench.last_message.reply.tone is Tone.DONE
