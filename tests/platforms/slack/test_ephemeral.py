"""Ephemeral replies, files in direct messages, and questions before expensive jobs."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from bot.core.people import User
from bot.core.replies import Picture, Reply
from bot.platforms.slack.messages import render_blocks
from tests.fakes.backend import make_png
from tests.fakes.splitting import answer_usage_at_length
from tests.platforms.slack.office import Office


async def require_confirmation(office: Office) -> None:
    """Set the workspace's threshold of confirmation to a credit."""
    await office.otto.use_command("/settings", "general --confirm_above 1", office.general)
    await office.otto.wait_for_private_message()
    office.advance_time(2)


async def test_an_expensive_picture_is_drawn_after_confirmation(any_office: Office) -> None:
    await require_confirmation(any_office)
    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    question = await any_office.ana.wait_for_private_message("credits")
    assert any_office.backend.runs == {}

    await any_office.ana.press(question, question.button_labels[0])

    await any_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    await question.wait_until(lambda message: message.is_deleted, "the question going away")


async def test_an_expensive_picture_is_not_drawn_after_no(office: Office) -> None:
    await require_confirmation(office)
    await office.ana.use_command("/imagine", "a fox", office.general)
    question = await office.ana.wait_for_private_message("credits")

    await office.ana.press(question, "No")

    await office.ana.wait_for_private_message("nothing was done")
    assert office.backend.runs == {}
    assert await office.balance(office.ana) == office.daily_micros


async def test_an_expensive_answer_waits_for_confirmation_in_its_thread(office: Office) -> None:
    await office.otto.use_command("/settings", "general --confirm_above 0.01", office.general)
    await office.otto.wait_for_private_message()
    office.advance_time(2)
    await office.ana.use_command("/chat", "hello", office.general)
    question = await office.ana.wait_for_private_message("credits")
    root = await office.general.wait_for_bot_message("asked:")

    await office.ana.press(question, question.button_labels[0])

    await office.general.get_thread(root).wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels)


async def test_a_file_for_one_person_comes_to_their_direct_messages(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await office.otto.use_command("/quota", "export", office.general)

    await office.otto.wait_for_private_message("The file is in our direct messages.")
    message = await office.otto.direct_channel.wait_for_bot_message(condition=lambda one: one.files)
    assert message.files[0].name.endswith(".csv")
    assert b"flux-schnell" in message.files[0].content
    assert all(not one.files for one in office.general.bot_messages if one.files and one.files[0].name.endswith(".csv"))


async def test_an_undeliverable_file_is_reported(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    office.slack.faults.respond("conversations.open", "user_not_found")

    await office.otto.use_command("/quota", "export", office.general)

    await office.otto.wait_for_private_message("could not be sent")


async def test_without_a_response_url_and_outside_the_channel_the_direct_message_remains(office: Office) -> None:
    hidden = office.team.add_channel("hidden", is_private=True, has_bot=False)
    await office.ana.use_command("/imagine", "", hidden)
    form = await office.ana.wait_for_modal("Imagine")

    await office.ana.submit(form, {"prompt": "a fox"})

    await office.ana.direct_channel.wait_for_bot_message("Invite me with")
    assert office.backend.runs == {}


async def test_notices_reach_the_moderators_channel(office: Office) -> None:
    desk = office.team.add_channel("desk")
    await office.otto.use_command("/settings", f"notices --channel <#{desk.id}|desk>", office.general)
    await office.otto.wait_for_private_message()
    office.advance_time(2)
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)

    await office.otto.press(picture, "Report")
    notice = await desk.wait_for_bot_message("reported what /imagine made")
    await office.otto.press(notice, "Show")
    shown = await office.otto.wait_for_private_message("FLUX schnell")
    await office.otto.press(notice, "Take down")

    await picture.wait_until(lambda message: message.is_deleted, "the picture going away")
    assert shown.alt_texts


def test_flagged_pictures_are_not_shown() -> None:
    fine = Picture("a" * 64, "image/png", 8, 8, "a fox", "fox.png")
    flagged = replace(fine, is_flagged=True)

    blocks = render_blocks(Reply(pictures=(fine, flagged)), ("F1", ""))

    assert [block["type"] for block in blocks] == ["image", "section"]
    assert "1 of 2 pictures was flagged as sensitive" in blocks[1]["text"]["text"]


async def test_a_person_is_reached_by_direct_messages(office: Office) -> None:
    notices = office.app.notices
    owner = User("slack", office.team.id, office.otto.id, "Otto")

    channel = await office.app.platforms["slack"].find_direct_channel(owner.workspace, owner.id)

    assert channel is not None
    assert channel.id == office.otto.direct_channel.id
    assert notices


@pytest.mark.parametrize("command", ["/usage", "/help", "/models", "/show"])
async def test_a_private_command_in_a_thread_is_answered_to_one_person(office: Office, command: str) -> None:
    request = await office.ana.say("look", office.general, files=[make_png()])

    await office.ana.say(f"{office.team.mention} {command[1:]}", thread=request)

    reply = await office.ana.wait_for_private_message()
    assert reply.thread_ts == request.ts
    assert office.general.get_thread(request).bot_messages == []


async def test_a_picture_unfit_for_image_blocks_comes_to_direct_messages(office: Office) -> None:
    webp = io.BytesIO()
    Image.open(io.BytesIO(make_png())).save(webp, "WEBP")
    office.backend.will(picture=webp.getvalue())
    await office.ana.use_command("/imagine", "a fox --format webp", office.general)
    picture = await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await office.ana.use_command("/show", picture.elements[0]["value"], office.general)

    await office.ana.wait_for_private_message("The picture is in our direct messages.")
    shown = await office.ana.direct_channel.wait_for_bot_message(condition=lambda one: one.files)
    assert shown.files[0].name == "a-fox.webp"


async def test_a_long_private_answer_is_split_beside_the_event_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop = answer_usage_at_length(monkeypatch)

    await office.ana.use_command("/usage", "", office.general)

    await office.ana.wait_for_private_message("the end")
    assert on_loop == [False]
