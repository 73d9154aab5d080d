"""Completing a job: outputs are fetched and kept, and the real cost of each run counts."""

from pathlib import Path

from bot.core.backend import RunMetrics
from bot.core.errors import BackendDown
from bot.core.replies import Tone
from bot.media.media_store import StoredPicture
from tests.bench import Bench


async def test_fetching_an_output_is_retried(bench: Bench) -> None:
    fetch, failures = bench.app.media.take_output, [BackendDown("away"), BackendDown("away")]

    async def unsteady(url: str) -> StoredPicture:
        if failures:
            raise failures.pop()
        return await fetch(url)

    bench.app.media.take_output = unsteady  # type: ignore[method-assign]  # a bad network
    await bench.say("/imagine a fox")
    await bench.advance_time(4)

    assert bench.last_message.reply.tone is Tone.DONE


async def test_an_output_that_cannot_be_fetched_is_not_charged(bench: Bench) -> None:
    async def away(url: str) -> StoredPicture:
        raise BackendDown("What the model made could not be fetched. You were not charged.")

    bench.app.media.take_output = away  # type: ignore[method-assign]  # no network
    await bench.say("/imagine a fox")
    await bench.advance_time(90)

    assert bench.last_text == "⚠ What the model made could not be fetched. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000


async def test_the_real_cost_of_a_failed_run_alerts_the_owner(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, monthly_budget_usd=0.06)  # one SDXL run of 60 seconds is held: 58,500 micros
    bench.backend.will(error="out of memory", metrics=RunMetrics(predict_seconds=40.0))

    await bench.say("/imagine a fox --model sdxl")

    failure, alert = bench.platform.messages.values()
    assert failure.text == "⚠ The model failed: out of memory. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert alert.text.startswith("The bot's monthly budget is spent to 50 %: 39 of 60 credits.")
    await bench.close()
