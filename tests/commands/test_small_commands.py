"""Dialogues: help, models, usage, cancel, show, grant."""

from dataclasses import replace

from bot.core.replies import Reply, Tone
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL

BEN = replace(ANA, id="ben", name="Ben")
OWNER = replace(ANA, id="owner", name="The owner")
MODERATOR = replace(ANA, id="mo", name="Mo", is_administrator=True)


def text(reply: Reply | None) -> str:
    assert reply is not None
    return reply.text


async def test_help_lists_the_menu_and_explains_one_command(bench: Bench) -> None:
    assert "- `/imagine` Draw pictures from words." in text(await bench.say("/help"))
    assert "- `--count` How many pictures? (from 1 to 4; 1 if you say nothing)" in text(
        await bench.say("/help imagine")
    )
    assert "Did you mean imagine?" in text(await bench.say("/help imagin"))


async def test_models_tells_prices(bench: Bench) -> None:
    told = text(await bench.say("/models"))

    assert "- `flux-schnell` FLUX schnell: Fast pictures for little. 3 credits a picture (default)" in told
    assert "- `sdxl` SDXL" in told
    assert "about 5.8 credits a run, at most 58.5" in told
    assert "/chat" not in text(await bench.say("/models imagine"))


async def test_usage_tells_what_is_left_and_what_it_went_on(bench: Bench) -> None:
    assert "**100** of 100 credits left today. They refill at 00:00 UTC." in text(await bench.say("/usage"))
    await bench.say("/imagine a fox --count 2")

    told = text(await bench.say("/usage"))

    assert "**94** of 100 credits left today." in told
    assert "- flux-schnell: 1 time, 6 credits" in told
    assert "Spent this month: **6** credits. The next begins on 01 February at 00:00 UTC." in told
    assert "month" not in text(await bench.say("/usage today"))


async def test_cancel_stops_the_latest_job(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    told = await bench.say("/cancel")

    assert text(told).startswith("Stopping /imagine `")
    assert bench.last_text == "⏹ Stopped."
    assert await bench.balance() == bench.starting_credits
    assert text(await bench.say("/cancel")) == "Nothing of yours is running."


async def test_nobody_cancels_for_somebody_else(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    by_name = await bench.say(f"/cancel {job.id}", by=BEN)
    by_button = await bench.press("cancel", by=BEN)

    assert "You have no job called" in text(by_name)
    assert text(by_button) == "Only the person who asked, or a moderator, can stop this."
    assert bench.backend.cancelled == []
    assert await bench.press("cancel", by=MODERATOR) is None
    assert bench.backend.cancelled == [bench.backend.last_run.id]


async def test_show_brings_a_job_back_with_living_buttons(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    shown = await bench.say(f"/show {job.id}")

    assert shown == bench.last_message.reply
    assert job.id in text(await bench.say("/show"))
    assert (await bench.say(f"/show {job.id}", by=BEN)) == shown
    elsewhere = await bench.say(f"/show {job.id}", by=BEN, channel=replace(CHANNEL, id="c2"))
    assert "There is no job called" in text(elsewhere)
    assert text(await bench.say("/show", by=BEN)).startswith("You have not asked for anything yet.")


async def test_show_of_a_running_job_can_stop_it(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    shown = await bench.say(f"/show {(await bench.get_job()).id}")

    assert shown is not None
    assert shown.tone is Tone.WORKING
    assert [button.action for button in shown.buttons] == ["cancel"]


async def test_a_moderator_grants_credits_once(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)

    told = await bench.say("/quota grant @Ben 50", by=MODERATOR, key="web:g1")
    await bench.say("/quota grant @Ben 50", by=MODERATOR, key="web:g1")

    assert text(told) == "Ben got 50 credits, and has 50 extra credits now."
    assert await bench.balance(BEN) == bench.starting_credits - 3_000 + 50_000
    assert "**50** extra credits, which do not expire." in text(await bench.say("/usage", by=BEN))


async def test_a_grant_is_spent_after_the_day_is(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota grant ana 100", by=OWNER)
    for _ in range(4):
        await bench.say("/imagine a fox --model flux-dev")

    await bench.say("/imagine a fox --model flux-pro")

    assert await bench.balance() == 100_000 + 100_000 - 3_000 - 4 * 25_000 - 40_000


async def test_a_grant_needs_the_rank_and_somebody_known(bench: Bench) -> None:
    refused = await bench.say("/quota grant ben 50")
    unknown = await bench.say("/quota grant zoe 50", by=MODERATOR)

    assert text(refused) == "/quota grant is for a moderator of this workspace."
    assert text(unknown) == "I have not seen “zoe” here yet. They must have used me once."
