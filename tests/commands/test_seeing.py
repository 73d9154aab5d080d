"""Pictures of a conversation that a chat model sees besides those with the question, at the bench."""

from dataclasses import replace
from pathlib import Path

from bot.commands.chat import Chat
from bot.core.invocations import Attachment, EarlierMessage, Invocation, TurnRole
from bot.core.limits import MAX_EARLIER_PICTURES
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.plain_text import invocation_from_text
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR

THREAD = replace(CHANNEL, thread="t1")


def make_picture(colour: str) -> Attachment:
    return make_attachment(make_png(colour=colour), f"{colour}.png")


def list_seen(bench: Bench) -> list[str]:
    """Return the pictures that reached the model with the last question."""
    return bench.backend.last_run.pictures


async def test_a_picture_of_an_earlier_question_is_seen_again(bench: Bench) -> None:
    await bench.invoke(Chat(message="What is this?", images=(make_picture("red"),)))
    first = list_seen(bench)

    await bench.invoke(Chat(message="And this?", images=(make_picture("green"),)))

    seen = list_seen(bench)
    assert len(seen) == 2
    assert seen[0] == first[0]
    assert "came earlier in this conversation; the last picture belongs to this message" in bench.backend.last_run.words


async def test_pictures_made_and_given_in_the_thread_are_seen(bench: Bench) -> None:
    await bench.say("/chat hello", channel=THREAD)
    await bench.say("/imagine a fox", channel=THREAD, by=BEN)
    await bench.say("/caption", channel=THREAD, image=make_png(colour="green"))
    await bench.say("/imagine a hen", channel=replace(CHANNEL, thread="t2"))

    await bench.say("/chat compare them", channel=THREAD)

    assert len(list_seen(bench)) == 2
    assert "(The 2 pictures came earlier in this conversation.)" in bench.backend.last_run.words
    assert "left out" not in bench.last_message.reply.note


async def test_in_a_channel_what_was_made_since_the_last_question_is_seen(bench: Bench) -> None:
    await bench.say("/imagine a hen")
    await bench.say("/chat hello")
    assert list_seen(bench) == []
    await bench.say("/imagine a fox")

    await bench.say("/chat what is in it?")
    await bench.say("/chat and its colour?")

    assert len(list_seen(bench)) == 1


async def test_private_pictures_are_not_seen(bench: Bench) -> None:
    await bench.say("/chat hello", channel=THREAD)
    private = Invocation(ANA, THREAD, "imagine", "web:private", {"prompt": "a fox"}, is_private=True)
    await bench.app.dispatcher.handle(private)
    await bench.wait_until_idle()

    await bench.say("/chat compare them", channel=THREAD)

    assert list_seen(bench) == []


async def test_the_newest_pictures_are_seen_and_the_rest_is_named(bench: Bench) -> None:
    await bench.say("/chat hello", channel=THREAD)
    for n in range(MAX_EARLIER_PICTURES + 1):
        await bench.say("/caption", channel=THREAD, image=make_png(32 + n, 24))

    await bench.say("/chat compare them", channel=THREAD)
    all_but_one, note = list_seen(bench), bench.last_message.reply.note
    await bench.invoke(Chat(message="And this?", images=(make_picture("green"),)), channel=THREAD)

    assert len(all_but_one) == MAX_EARLIER_PICTURES
    assert "1 earlier picture left out" in note
    assert list_seen(bench)[:-1] == all_but_one[1:]
    assert "2 earlier pictures left out" in bench.last_message.reply.note


async def test_earlier_pictures_beyond_the_purse_are_left_out(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=10)
    await bench.say("/chat hello --model claude-haiku", channel=THREAD)
    await bench.say("/imagine a fox", channel=THREAD)

    refused = await bench.say("/chat what is it?", channel=THREAD)

    assert refused is None
    assert "image" not in bench.backend.last_run.inputs
    assert "1 earlier picture left out" in bench.last_message.reply.note
    await bench.close()


async def test_a_picture_from_before_the_bot_joined_is_seen(bench: Bench) -> None:
    services = bench.app.dispatcher.services
    broken = make_attachment(b"no picture", "broken.png")
    earlier = (
        EarlierMessage(TurnRole.USER, "web:ola", "Ola: my cat", "m1", (make_picture("red"),)),
        EarlierMessage(TurnRole.USER, "web:ola", "Ola: my dog", "m2", (broken,)),
    )

    for n, words in enumerate(("What is my cat's colour?", "And what does it like?")):
        call = await invocation_from_text(services, ANA, THREAD, words, f"web:{n}", earlier=earlier)
        await bench.app.dispatcher.handle(call)
        await bench.wait_until_idle()
        bench.clock.tick()
        assert len(list_seen(bench)) == 1

    notes = [message.reply.note for message in bench.platform.messages.values()]
    assert ["1 earlier picture left out" in note for note in notes] == [True, False]


async def test_a_deleted_answer_leaves_the_pictures_of_earlier_questions(bench: Bench) -> None:
    await bench.invoke(Chat(message="What is this?", images=(make_picture("red"),)))
    first = bench.last_message
    await bench.invoke(Chat(message="And its colour?"))

    await bench.press("delete")
    await bench.press("regenerate", on=first)

    assert len(list_seen(bench)) == 1


async def test_a_deleted_picture_is_gone_from_the_conversation(bench: Bench) -> None:
    await bench.invoke(Chat(message="What is this?", images=(make_picture("red"),)))
    await bench.press("delete")

    await bench.invoke(Chat(message="And its colour?"))

    assert list_seen(bench) == []
    assert "left out" not in bench.last_message.reply.note


async def test_a_second_answer_sees_the_same_pictures(bench: Bench) -> None:
    await bench.say("/chat hello", channel=THREAD)
    await bench.say("/imagine a fox", channel=THREAD)
    await bench.invoke(Chat(message="Compare", images=(make_picture("red"),)), channel=THREAD)
    first, words = list_seen(bench), bench.backend.last_run.words
    answer = bench.last_message
    await bench.say("/imagine a hen", channel=THREAD)

    await bench.press("regenerate", on=answer, channel=THREAD)

    assert list_seen(bench) == first
    assert bench.backend.last_run.words == words


async def test_a_confirmed_question_says_which_pictures_are_missing(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 0.1", by=MODERATOR)
    earlier = (EarlierMessage(TurnRole.USER, "web:ola", "Ola: my cat", "m1", (make_picture("red"),)),)
    call = Invocation(ANA, THREAD, "chat", "web:1", {"message": "Which colour?"}, earlier_messages=earlier)
    question = await bench.app.dispatcher.handle(call)
    assert question is not None

    press = ButtonPress(ANA, THREAD, "confirm", question.buttons[0].job, 0, "web:p1", "")
    await bench.app.dispatcher.handle_press(press)
    await bench.wait_until_idle()

    assert "Ola: my cat" in bench.backend.last_run.words
    assert "1 earlier picture left out" in bench.last_message.reply.note


async def test_a_deletion_takes_the_pictures_of_quoted_messages(bench: Bench) -> None:
    earlier = (EarlierMessage(TurnRole.USER, "web:ben", "Ben: my cat", "m1", (make_picture("red"),)),)
    call = Invocation(ANA, THREAD, "chat", "web:1", {"message": "Which colour?"}, earlier_messages=earlier)
    await bench.app.dispatcher.handle(call)
    await bench.wait_until_idle()
    assert len(await bench.app.media.list_files()) == 1

    question = await bench.say("/privacy delete", by=BEN)
    assert question is not None
    press = ButtonPress(BEN, CHANNEL, "confirm", question.buttons[0].job, 0, "web:p1", "")
    await bench.app.dispatcher.handle_press(press)
    await bench.wait_until_idle()

    assert await bench.app.media.list_files() == []
