"""What one person alone reads, and the questions that are put before something dear."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from bot.core.people import User
from bot.core.replies import Picture, Reply
from bot.platforms.slack.messages import blocks_of
from tests.fakes.backend import png
from tests.platforms.slack.office import Office


async def dear(office: Office) -> None:
    """From now on whatever costs more than a credit is asked about first."""
    await office.otto.slash("/settings", "general --confirm_above 1", office.general)
    await office.otto.told()
    office.pass_time(2)


async def test_a_dear_picture_is_asked_about_and_drawn_after_yes(either: Office) -> None:
    await dear(either)
    await either.ana.slash("/imagine", "a fox", either.general)
    question = await either.ana.told("credits")
    assert either.backend.runs == {}

    await either.ana.press(question, question.buttons[0])

    await either.general.bot_says(holds=lambda one: "Again" in one.buttons)
    await question.until(lambda message: message.is_deleted, "the question going away")


async def test_a_dear_picture_is_not_drawn_after_no(office: Office) -> None:
    await dear(office)
    await office.ana.slash("/imagine", "a fox", office.general)
    question = await office.ana.told("credits")

    await office.ana.press(question, "No")

    await office.ana.told("nothing was done")
    assert office.backend.runs == {}
    assert await office.balance(office.ana) == office.everything


async def test_a_dear_answer_waits_in_the_thread_of_its_question(office: Office) -> None:
    await office.otto.slash("/settings", "general --confirm_above 0.01", office.general)
    await office.otto.told()
    office.pass_time(2)
    await office.ana.slash("/chat", "hello", office.general)
    question = await office.ana.told("credits")
    root = await office.general.bot_says("asked:")

    await office.ana.press(question, question.buttons[0])

    await office.general.thread(root).bot_says(holds=lambda one: "Delete" in one.buttons)


async def test_a_file_for_one_person_comes_to_their_direct_messages(office: Office) -> None:
    await office.ana.slash("/imagine", "a fox", office.general)
    await office.general.bot_says(holds=lambda one: "Again" in one.buttons)

    await office.otto.slash("/quota", "export", office.general)

    await office.otto.told("The file is in our direct messages.")
    message = await office.otto.dm.bot_says(holds=lambda one: one.files)
    assert message.files[0].name.endswith(".csv")
    assert b"flux-schnell" in message.files[0].content
    assert all(not one.files for one in office.general.of_bot if one.files and one.files[0].name.endswith(".csv"))


async def test_a_file_that_cannot_be_sent_says_so(office: Office) -> None:
    await office.ana.slash("/imagine", "a fox", office.general)
    await office.general.bot_says(holds=lambda one: "Again" in one.buttons)
    office.slack.faults.answer("conversations.open", "user_not_found")

    await office.otto.slash("/quota", "export", office.general)

    await office.otto.told("could not be sent")


async def test_without_a_response_url_and_outside_the_channel_the_direct_message_remains(office: Office) -> None:
    hidden = office.team.channel("hidden", private=True, bot=False)
    await office.ana.slash("/imagine", "", hidden)
    form = await office.ana.modal("Imagine")

    await office.ana.submit(form, {"prompt": "a fox"})

    await office.ana.dm.bot_says("Invite me with")
    assert office.backend.runs == {}


async def test_notices_reach_the_moderators_channel(office: Office) -> None:
    desk = office.team.channel("desk")
    await office.otto.slash("/settings", f"notices --channel <#{desk.id}|desk>", office.general)
    await office.otto.told()
    office.pass_time(2)
    await office.ana.slash("/imagine", "a fox", office.general)
    picture = await office.general.bot_says(holds=lambda one: "Report" in one.buttons)

    await office.otto.press(picture, "Report")
    notice = await desk.bot_says("reported what /imagine made")
    await office.otto.press(notice, "Show")
    shown = await office.otto.told("FLUX schnell")
    await office.otto.press(notice, "Take down")

    await picture.until(lambda message: message.is_deleted, "the picture going away")
    assert shown.alt_texts


def test_what_a_model_flags_is_not_shown_at_work() -> None:
    fine = Picture("a" * 64, "image/png", 8, 8, "a fox", "fox.png")
    flagged = replace(fine, is_flagged=True)

    blocks = blocks_of(Reply(pictures=(fine, flagged)), ("F1", ""))

    assert [block["type"] for block in blocks] == ["image", "section"]
    assert "1 of 2 pictures was flagged as sensitive" in blocks[1]["text"]["text"]


async def test_people_are_told_in_direct_messages_where_nobody_else_reads(office: Office) -> None:
    notices = office.app.notices
    owner = User("slack", office.team.id, office.otto.id, "Otto")

    channel = await office.app.platforms["slack"].direct(owner.workspace, owner.id)

    assert channel is not None
    assert channel.id == office.otto.dm.id
    assert notices


@pytest.mark.parametrize("command", ["/usage", "/help", "/models", "/show"])
async def test_a_private_command_in_a_thread_is_answered_to_one_person(office: Office, command: str) -> None:
    said = await office.ana.say("look", office.general, files=[png()])

    await office.ana.say(f"{office.team.mention} {command[1:]}", thread=said)

    told = await office.ana.told()
    assert told.thread_ts == said.ts
    assert office.general.thread(said).of_bot == []


async def test_a_picture_that_no_image_block_takes_comes_to_direct_messages(office: Office) -> None:
    webp = io.BytesIO()
    Image.open(io.BytesIO(png())).save(webp, "WEBP")
    office.backend.will(picture=webp.getvalue())
    await office.ana.slash("/imagine", "a fox --format webp", office.general)
    picture = await office.general.bot_says(holds=lambda one: "Again" in one.buttons)

    await office.ana.slash("/show", picture.elements[0]["value"], office.general)

    await office.ana.told("The picture is in our direct messages.")
    shown = await office.ana.dm.bot_says(holds=lambda one: one.files)
    assert shown.files[0].name == "a-fox.webp"
