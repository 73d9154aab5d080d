"""A request and a press each make a single job, and buttons without effect explain themselves."""

import asyncio
from dataclasses import replace

from bot.core.invocations import Invocation
from bot.core.replies import Tone
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL


async def test_a_request_delivered_twice_is_one_job(bench: Bench) -> None:
    await bench.say("/imagine a fox", key="web:same")
    await bench.say("/imagine a fox", key="web:same")

    assert len(bench.backend.runs) == len(bench.platform.messages) == 1
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_request_delivered_five_times_at_once_is_one_job(bench: Bench) -> None:
    call = Invocation(ANA, CHANNEL, "imagine", "web:same", {"prompt": "a fox"})

    await asyncio.gather(*(bench.app.dispatcher.handle(call) for _ in range(5)))
    await bench.wait_until_idle()

    assert len(bench.backend.runs) == 1


async def test_a_second_press_of_a_button_is_rejected_while_the_first_job_runs(bench: Bench) -> None:
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


async def test_a_button_works_again_after_its_job_has_ended(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    drawn = bench.last_message

    await bench.press("again", on=drawn)
    await bench.press("again", on=drawn)

    assert len(bench.backend.runs) == 3


async def press_and_get_error(bench: Bench, action: str, job: str, *, channel: str = "c1", n: int = 0) -> str:
    press = ButtonPress(ANA, replace(CHANNEL, id=channel), action, job, n, "web:p", "message")
    reply = await bench.app.dispatcher.handle_press(press)
    assert reply is not None
    assert reply.tone is Tone.ERROR
    return reply.text


async def test_buttons_without_effect_explain_themselves(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)
    job = await bench.get_job()

    assert (
        await press_and_get_error(bench, "again", "nothing")
        == "That job is not here any more, so its buttons do nothing."
    )
    assert await press_and_get_error(bench, "again", job.id, channel="elsewhere") == (
        "That job is not here any more, so its buttons do nothing."
    )
    assert "older version" in await press_and_get_error(bench, "frobnicate", job.id)
    assert "not kept any more" in await press_and_get_error(bench, "upscale", job.id, n=9)


async def test_a_deleted_picture_cannot_be_upscaled(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.app.media.remove(bench.last_message.reply.pictures[0].sha256)

    reply = await bench.press("upscale", n=1)

    assert reply is not None
    assert reply.text == "That picture is not kept any more. Draw it again to work on it."


async def test_stop_on_an_ended_job_explains_itself(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    await bench.press("cancel")

    assert await press_and_get_error(bench, "cancel", job.id) == "That is over already: there is nothing left to stop."
