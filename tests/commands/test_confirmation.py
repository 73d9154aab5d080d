"""Confirmation of jobs above the workspace's price limit, at the bench."""

from dataclasses import replace

import pytest

from bot.core.invocations import EarlierMessage, Invocation, TurnRole
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text
from tests.media.pictures import encode_picture


async def ask_expensive(
    bench: Bench, line: str = "/imagine a fox --model flux-dev", image: bytes | None = None
) -> Reply:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)
    reply = await bench.say(line, image=image)
    assert reply is not None
    return reply


def build_press(reply: Reply, action: str, *, by: object = ANA, n: int = 1) -> ButtonPress:
    button = next(button for button in reply.buttons if button.action == action)
    return ButtonPress(by, CHANNEL, action, button.job, 0, f"web:p{n}", "")  # type: ignore[arg-type]  # any user


async def press_and_wait(bench: Bench, press: ButtonPress) -> Reply | None:
    reply = await bench.app.dispatcher.handle_press(press)
    await bench.wait_until_idle()
    return reply


async def test_an_expensive_job_asks_first_and_holds_no_credits(bench: Bench) -> None:
    reply = await ask_expensive(bench)

    assert reply.text == "This costs 25 credits with FLUX dev. Go ahead?"
    assert reply.is_private
    assert [(button.action, button.label) for button in reply.buttons] == [("confirm", "Go ahead"), ("decline", "No")]
    assert await bench.balance() == bench.starting_credits
    assert not bench.backend.runs


async def test_the_question_has_the_expected_and_the_maximum_cost(bench: Bench) -> None:
    assert (await ask_expensive(bench, "/imagine a fox --model sdxl")).text == (
        "This costs about 5.8, at most 58.5 credits with SDXL. Go ahead?"
    )


async def test_a_cheap_job_asks_no_question(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)

    assert await bench.say("/imagine a fox") is None


async def test_go_ahead_starts_the_job_once(bench: Bench) -> None:
    reply = await ask_expensive(bench)

    first = await press_and_wait(bench, build_press(reply, "confirm"))
    second = await press_and_wait(bench, build_press(reply, "confirm", n=2))

    assert first is None
    assert get_text(second) == "That question was answered already, or is more than an hour old. Please ask again."
    assert len(bench.backend.runs) == 1
    assert await bench.balance() == bench.starting_credits - 25_000


async def test_no_starts_no_job(bench: Bench) -> None:
    reply = await ask_expensive(bench)

    text = await press_and_wait(bench, build_press(reply, "decline"))
    late = await press_and_wait(bench, build_press(reply, "confirm", n=2))

    assert get_text(text) == "All right: nothing was done, and nothing was charged."
    assert "answered already" in get_text(late)
    assert not bench.backend.runs


async def test_another_user_cannot_answer_the_question(bench: Bench) -> None:
    reply = await ask_expensive(bench)

    by_ben = await press_and_wait(bench, build_press(reply, "confirm", by=BEN))

    assert get_text(by_ben) == "Only the person who was asked can answer this."
    assert not bench.backend.runs
    assert await press_and_wait(bench, build_press(reply, "confirm", n=2)) is None


async def test_a_question_expires_after_an_hour(bench: Bench) -> None:
    reply = await ask_expensive(bench)

    await bench.clock.advance(3_600)

    assert "more than an hour old" in get_text(await press_and_wait(bench, build_press(reply, "confirm")))


async def test_an_attachment_is_kept_until_the_answer(bench: Bench) -> None:
    reply = await ask_expensive(bench, image=encode_picture("PNG"))

    assert await press_and_wait(bench, build_press(reply, "confirm")) is None

    assert "image" in bench.backend.last_run.inputs


async def test_a_confirmed_invocation_keeps_its_reply_chain_and_earlier_messages(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)
    place = replace(CHANNEL, thread="m1", is_reply_chain=True)
    earlier = (EarlierMessage(TurnRole.USER, "web:ben", "Foxes are orange.", "m0"),)
    call = Invocation(
        ANA, place, "imagine", "web:1", {"prompt": "a fox", "model": "flux-dev"}, earlier_messages=earlier
    )
    reply = await bench.app.dispatcher.handle(call)
    assert reply is not None

    _, confirmed = await bench.app.dispatcher.confirmations.take(reply.buttons[0].job, ANA, "web:x")

    assert confirmed.channel == place
    assert confirmed.earlier_messages == earlier


async def test_a_refused_prompt_asks_no_question(bench: Bench) -> None:
    await bench.say("/words add fox", by=MODERATOR)

    assert "a word in it which is not wanted" in (await ask_expensive(bench)).text


async def test_a_forged_answer_is_refused(bench: Bench) -> None:
    forged = ButtonPress(ANA, CHANNEL, "confirm", "00000000000000000000", 0, "web:p1", "")

    assert "answered already" in get_text(await press_and_wait(bench, forged))


async def test_a_block_between_question_and_answer_refuses_the_job(bench: Bench) -> None:
    reply = await ask_expensive(bench)
    await bench.app.dispatcher.services.jobs.record_user(ANA)
    await bench.say("/block ana 2h", by=MODERATOR)

    assert get_text(await press_and_wait(bench, build_press(reply, "confirm"))).startswith("You are blocked here until")
    assert not bench.backend.runs


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("/quota set ana --day 1.5", "Your budget has no room for this: 1.5 credits short. Even all of it "),
        ("/quota role set everyone --day 1.5", "You are 1.5 credits short."),
    ],
)
async def test_a_user_without_credits_is_not_asked(bench: Bench, limit: str, text: str) -> None:
    await bench.app.dispatcher.services.jobs.record_user(ANA)
    await bench.say("/settings general --confirm_above 1", by=MODERATOR)
    await bench.say(limit, by=MODERATOR)

    refused = await bench.say("/imagine a fox")

    assert refused is not None
    assert refused.text.startswith(text)
    assert not refused.buttons


async def test_a_user_without_access_to_a_model_is_not_asked(bench: Bench) -> None:
    await bench.say("/quota channel set c1 --models flux-schnell", by=MODERATOR)

    refused = await ask_expensive(bench)

    assert refused.text == "FLUX dev is not for this channel. Here you may use flux-schnell."
