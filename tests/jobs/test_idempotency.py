"""One ask, one job; one press, one job; and buttons that say why they do nothing."""

import asyncio
from dataclasses import replace

from bot.core.errors import BackendDown
from bot.core.invocations import Invocation
from bot.core.replies import Tone
from bot.dispatch.button_actions import ButtonPress
from bot.media.media_store import StoredPicture
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL

BEN = replace(ANA, id="ben", name="Ben")


async def test_an_ask_delivered_twice_is_one_job(bench: Bench) -> None:
    await bench.say("/imagine a fox", key="web:same")
    await bench.say("/imagine a fox", key="web:same")

    assert len(bench.backend.runs) == len(bench.platform.messages) == 1
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_an_ask_delivered_twice_at_once_is_one_job(bench: Bench) -> None:
    call = Invocation(ANA, CHANNEL, "imagine", "web:same", {"prompt": "a fox"})

    await asyncio.gather(*(bench.app.dispatcher.handle(call) for _ in range(5)))
    await bench.wait_until_idle()

    assert len(bench.backend.runs) == 1


async def test_a_second_press_while_the_first_runs_is_told_so(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    drawn = bench.last_message
    bench.backend.will(hangs_after=0)

    first = await bench.press("again", on=drawn)
    second = await bench.press("again", on=drawn)
    by_another = await bench.press("again", on=drawn, by=BEN)

    assert first is None
    assert second is not None
    assert second.text == "I am on it: that button was pressed a moment ago."
    assert by_another is None
    assert len(bench.backend.runs) == 3


async def test_the_same_button_works_again_when_its_job_is_over(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    drawn = bench.last_message

    await bench.press("again", on=drawn)
    await bench.press("again", on=drawn)

    assert len(bench.backend.runs) == 3


async def pressed(bench: Bench, action: str, job: str, *, channel: str = "c1", n: int = 0) -> str:
    press = ButtonPress(ANA, replace(CHANNEL, id=channel), action, job, n, "web:p", "message")
    reply = await bench.app.dispatcher.handle_press(press)
    assert reply is not None
    assert reply.tone is Tone.ERROR
    return reply.text


async def test_buttons_that_can_do_nothing_say_why(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)
    job = await bench.get_job()

    assert await pressed(bench, "again", "nothing") == "That job is not here any more, so its buttons do nothing."
    assert await pressed(bench, "again", job.id, channel="elsewhere") == (
        "That job is not here any more, so its buttons do nothing."
    )
    assert "older version" in await pressed(bench, "frobnicate", job.id)
    assert "not kept any more" in await pressed(bench, "upscale", job.id, n=9)


async def test_a_picture_that_was_taken_away_cannot_be_worked_on(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.app.media.remove(bench.last_message.reply.pictures[0].sha256)

    reply = await bench.press("upscale", n=1)

    assert reply is not None
    assert reply.text == "That picture is not kept any more. Draw it again to work on it."


async def test_a_stop_pressed_twice_or_too_late_says_so(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    await bench.press("cancel")

    assert await pressed(bench, "cancel", job.id) == "That is over already: there is nothing left to stop."


async def test_an_output_that_cannot_be_fetched_at_once_is_fetched_again(bench: Bench) -> None:
    fetch, failures = bench.app.media.take_output, [BackendDown("away"), BackendDown("away")]

    async def unsteady(url: str) -> StoredPicture:
        if failures:
            raise failures.pop()
        return await fetch(url)

    bench.app.media.take_output = unsteady  # type: ignore[method-assign]  # a bad network
    await bench.say("/imagine a fox")
    await bench.advance_time(4)

    assert bench.last_message.reply.tone is Tone.DONE


async def test_an_output_that_can_never_be_fetched_is_given_back(bench: Bench) -> None:
    async def away(url: str) -> StoredPicture:
        raise BackendDown("What the model made could not be fetched. You were not charged.")

    bench.app.media.take_output = away  # type: ignore[method-assign]  # no network
    await bench.say("/imagine a fox")
    await bench.advance_time(90)

    assert bench.last_text == "⚠ What the model made could not be fetched. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000
