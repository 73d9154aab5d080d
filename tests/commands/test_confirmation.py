"""Dialogues: a price above a workspace's limit is agreed to by a button, once, and by its own person."""

from dataclasses import replace

import pytest

from bot.core.invocations import EarlierMessage, Invocation, TurnRole
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text
from tests.media.pictures import encode_picture


async def asked(bench: Bench, line: str = "/imagine a fox --model flux-dev", image: bytes | None = None) -> Reply:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)
    reply = await bench.say(line, image=image)
    assert reply is not None
    return reply


def press(reply: Reply, action: str, *, by: object = ANA, n: int = 1) -> ButtonPress:
    button = next(button for button in reply.buttons if button.action == action)
    return ButtonPress(by, CHANNEL, action, button.job, 0, f"web:p{n}", "")  # type: ignore[arg-type]  # any user


async def answer(bench: Bench, pressed: ButtonPress) -> Reply | None:
    reply = await bench.app.dispatcher.handle_press(pressed)
    await bench.wait_until_idle()
    return reply


async def test_what_costs_much_is_asked_first_and_nothing_is_held(bench: Bench) -> None:
    reply = await asked(bench)

    assert reply.text == "This costs 25 credits with FLUX dev. Go ahead?"
    assert reply.is_private
    assert [(button.action, button.label) for button in reply.buttons] == [("confirm", "Go ahead"), ("decline", "No")]
    assert await bench.balance() == bench.starting_credits
    assert not bench.backend.runs


async def test_about_and_at_most_are_both_told(bench: Bench) -> None:
    assert (await asked(bench, "/imagine a fox --model sdxl")).text == (
        "This costs about 5.8, at most 58.5 credits with SDXL. Go ahead?"
    )


async def test_what_costs_little_is_not_asked(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)

    assert await bench.say("/imagine a fox") is None


async def test_go_ahead_does_it_once(bench: Bench) -> None:
    reply = await asked(bench)

    first = await answer(bench, press(reply, "confirm"))
    second = await answer(bench, press(reply, "confirm", n=2))

    assert first is None
    assert get_text(second) == "That question was answered already, or is more than an hour old. Please ask again."
    assert len(bench.backend.runs) == 1
    assert await bench.balance() == bench.starting_credits - 25_000


async def test_no_does_nothing(bench: Bench) -> None:
    reply = await asked(bench)

    told = await answer(bench, press(reply, "decline"))
    late = await answer(bench, press(reply, "confirm", n=2))

    assert get_text(told) == "All right: nothing was done, and nothing was charged."
    assert "answered already" in get_text(late)
    assert not bench.backend.runs


async def test_nobody_answers_for_somebody_else(bench: Bench) -> None:
    reply = await asked(bench)

    by_ben = await answer(bench, press(reply, "confirm", by=BEN))

    assert get_text(by_ben) == "Only the person who was asked can answer this."
    assert not bench.backend.runs
    assert await answer(bench, press(reply, "confirm", n=2)) is None


async def test_a_question_expires_after_an_hour(bench: Bench) -> None:
    reply = await asked(bench)

    await bench.clock.advance(3_600)

    assert "more than an hour old" in get_text(await answer(bench, press(reply, "confirm")))


async def test_the_picture_that_came_along_is_kept_until_the_answer(bench: Bench) -> None:
    reply = await asked(bench, image=encode_picture("PNG"))

    assert await answer(bench, press(reply, "confirm")) is None

    assert "image" in bench.backend.last_run.inputs


async def test_a_confirmed_call_keeps_its_reply_chain_and_the_messages_from_before(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 20", by=MODERATOR)
    place = replace(CHANNEL, thread="m1", is_reply_chain=True)
    earlier = (EarlierMessage(TurnRole.USER, "web:ben", "Foxes are orange.", "m0"),)
    call = Invocation(
        ANA, place, "imagine", "web:1", {"prompt": "a fox", "model": "flux-dev"}, earlier_messages=earlier
    )
    reply = await bench.app.dispatcher.handle(call)
    assert reply is not None

    _, confirmed = await bench.app.dispatcher.confirmations.take(reply.buttons[0].job, ANA)

    assert confirmed.channel == place
    assert confirmed.earlier_messages == earlier


async def test_what_would_be_refused_anyhow_is_not_asked(bench: Bench) -> None:
    await bench.say("/words add fox", by=MODERATOR)

    assert "a word in it which is not wanted" in (await asked(bench)).text


async def test_a_forged_answer_finds_nothing(bench: Bench) -> None:
    forged = ButtonPress(ANA, CHANNEL, "confirm", "00000000000000000000", 0, "web:p1", "")

    assert "answered already" in get_text(await answer(bench, forged))


async def test_a_block_holds_between_question_and_answer(bench: Bench) -> None:
    reply = await asked(bench)
    await bench.app.dispatcher.services.jobs.record_user(ANA)
    await bench.say("/block ana 2h", by=MODERATOR)

    assert get_text(await answer(bench, press(reply, "confirm"))).startswith("You are blocked here until")
    assert not bench.backend.runs


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("/quota set ana --day 1.5", "Your budget has no room for this: 1.5 credits short. Even all of it "),
        ("/quota role set everyone --day 1.5", "You are 1.5 credits short."),
    ],
)
async def test_who_cannot_pay_is_not_asked_whether_they_would(bench: Bench, limit: str, told: str) -> None:
    await bench.app.dispatcher.services.jobs.record_user(ANA)
    await bench.say("/settings general --confirm_above 1", by=MODERATOR)
    await bench.say(limit, by=MODERATOR)

    refused = await bench.say("/imagine a fox")

    assert refused is not None
    assert refused.text.startswith(told)
    assert not refused.buttons


async def test_who_may_not_use_a_model_is_not_asked_whether_they_would_pay_it(bench: Bench) -> None:
    await bench.say("/quota channel set c1 --models flux-schnell", by=MODERATOR)

    refused = await asked(bench)

    assert refused.text == "FLUX dev is not for this channel. Here you may use flux-schnell."
