"""Decisions of a person in Slack: expensive jobs, and export and deletion of personal data."""

import json

from tests.emulators.slack.messages import SlackMessageState
from tests.platforms.database_state import read_database_state
from tests.platforms.slack.dialogue import SlackStaff, draw_picture, read_answer, run_command
from tests.platforms.slack.office import Office

EXPENSIVE = "/imagine a fox --model flux-dev"


async def ask_for_expensive_picture(office: Office) -> SlackMessageState:
    """Set the threshold of confirmation to 20 credits; return the question for Ana's more expensive picture."""
    await SlackStaff(office).ask_as_moderator("/settings general --confirm_above 20")
    return await run_command(office.ana, EXPENSIVE, office.general)


async def test_a_price_above_the_amount_is_asked_once_and_done_once(any_office: Office) -> None:
    question = await ask_for_expensive_picture(any_office)
    shown, buttons, runs = question.visible_text, question.button_labels, dict(any_office.backend.runs)

    first, second = [await any_office.ana.press(question, "Go ahead") for _ in range(2)]
    await first.wait_for_acknowledgement()
    await second.wait_for_acknowledgement()
    late = await any_office.ana.wait_for_private_message(
        "That question was answered already, or is more than an hour old. Please ask again."
    )
    picture = await any_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    await any_office.wait_until_idle()

    assert (shown, buttons, runs) == ("This costs 25 credits with FLUX dev. Go ahead?", ["Go ahead", "No"], {})
    assert late
    assert any_office.general.bot_messages == [picture]
    assert len(any_office.backend.runs) == 1
    assert "**75** of 100 credits" in await read_answer(any_office.ana, "/usage")


async def test_no_is_no_and_costs_nothing(office: Office) -> None:
    question = await ask_for_expensive_picture(office)
    before = read_database_state(office.app)

    await office.ana.press(question, "No")
    await office.ana.wait_for_private_message("All right: nothing was done, and nothing was charged.")

    assert question.is_deleted
    assert read_database_state(office.app) == before
    assert office.backend.runs == {}


async def test_somebody_else_cannot_answer_not_even_with_the_question_s_own_id(any_office: Office) -> None:
    question = await ask_for_expensive_picture(any_office)
    ben = SlackStaff(any_office).ben
    bens = await draw_picture(ben, any_office.general)
    await any_office.wait_until_idle()
    before = read_database_state(any_office.app)

    bens.elements[0].update(action_id="confirm:0", value=question.elements[0]["value"])
    await ben.press(bens, "confirm:0")
    refused = await ben.wait_for_private_message()

    assert refused.visible_text == "Only the person who was asked can answer this."
    assert read_database_state(any_office.app) == before
    assert len(any_office.backend.runs) == 1
    assert "· was refused · what button" in await SlackStaff(any_office).ask_as_moderator("/audit --kind refusals")


async def test_own_data_comes_as_a_file_into_the_direct_messages(office: Office) -> None:
    ben = SlackStaff(office).ben
    await draw_picture(office.ana, office.general, "a fox at dusk")
    await draw_picture(ben, office.general, "a badger")

    await office.ana.use_command("/privacy", "export", office.general)
    await office.ana.wait_for_private_message("The file is in our direct messages.")

    (sent,) = office.ana.direct_channel.bot_messages
    (file,) = sent.files
    text = file.content.decode()
    assert file.name.endswith(".json")
    assert json.loads(text)
    assert "a fox at dusk" in text
    assert "badger" not in text


async def test_own_data_is_deleted_after_a_question_and_amounts_stay(any_office: Office) -> None:
    ben = SlackStaff(any_office).ben
    picture = await draw_picture(any_office.ana, any_office.general, "a fox at dusk")
    bens = await draw_picture(ben, any_office.general)
    await any_office.wait_until_idle()
    spent = read_database_state(any_office.app)["ledger"]

    question = await run_command(any_office.ana, "/privacy delete", any_office.general)
    shown = question.visible_text
    await any_office.ana.press(question, "Delete everything")
    await any_office.ana.wait_for_private_message("It is gone. Amounts stay in the books, without words.")
    await picture.wait_until(lambda message: message.is_deleted, "deletion")

    assert shown.startswith("This deletes what you asked, ")
    assert "in this Slack workspace" in shown
    assert not bens.is_deleted
    assert read_database_state(any_office.app)["ledger"] == spent
    assert "fox" not in await read_answer(any_office.ana, "/show")


async def test_a_declined_deletion_deletes_nothing(office: Office) -> None:
    picture = await draw_picture(office.ana, office.general)

    question = await run_command(office.ana, "/privacy delete", office.general)
    await office.ana.press(question, "No")
    await office.ana.wait_for_private_message("All right: nothing was done, and nothing was charged.")

    assert not picture.is_deleted
    assert "/imagine a fox" in await read_answer(office.ana, "/show")
