"""Decisions of a user: confirmations of high prices, export and deletion of personal data."""

import asyncio
import json

from tests.emulators.discord.messages import DiscordMessageState
from tests.platforms.database_state import read_database_state
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town, is_done

EXPENSIVE = {"prompt": "a fox", "model": "flux-dev"}


async def request_expensive_picture(town: Town) -> DiscordMessageState:
    """Return the confirmation of an expensive picture for Ana, in a server that confirms above 20 credits."""
    await DiscordStaff(town).ask_as_moderator("settings general", confirm_above=20)
    return await run_command(town.ana, "imagine", EXPENSIVE)


async def test_an_expensive_picture_is_confirmed_once_and_drawn_once(town: Town) -> None:
    question = await request_expensive_picture(town)
    money = read_database_state(town.app)["ledger"]

    go = question.buttons[0].custom_id
    presses = await asyncio.gather(town.ana.press(question, custom_id=go), town.ana.press(question, custom_id=go))
    await town.wait_until(lambda: town.general.messages)
    await town.general.messages[0].wait_until(is_done)
    (late,) = [
        one for one in await asyncio.gather(*(press.wait_for_message() for press in presses)) if one.is_ephemeral
    ]

    assert question.versions[0].text == "This costs 25 credits with FLUX dev. Go ahead?"
    assert question.versions[0].button_labels == ["Go ahead", "No"]
    assert not any("hold" in map(str, row) for row in money)
    assert late.text == "That question was answered already, or is more than an hour old. Please ask again."
    assert len(town.backend.runs) == len(town.general.messages) == 1
    assert "**75** of 100 credits" in await read_answer(town.ana, "usage")


async def test_declining_costs_nothing(town: Town) -> None:
    question = await request_expensive_picture(town)
    before = read_database_state(town.app)

    no = await (await town.ana.press(question, "No")).wait_for_private_message()
    await question.wait_until(lambda one: not one.button_labels)

    assert no.text == "All right: nothing was done, and nothing was charged."
    assert read_database_state(town.app) == before
    assert town.backend.runs == {}


async def test_a_forged_confirmation_of_another_user_is_refused(town: Town) -> None:
    question = await request_expensive_picture(town)
    picture_of_ben = await draw_picture(town.ben)
    await town.wait_until_idle()
    before = read_database_state(town.app)

    forged = question.buttons[0].custom_id
    next(node for row in picture_of_ben.components for node in row.get("components", ()))["custom_id"] = forged
    refusal = await (await town.ben.press(picture_of_ben, custom_id=forged)).wait_for_private_message()

    assert refusal.text == "Only the person who was asked can answer this."
    assert read_database_state(town.app) == before
    assert len(town.backend.runs) == 1
    assert "· was refused · what button" in await DiscordStaff(town).ask_as_moderator("audit", kind="refusals")


async def test_the_export_is_a_private_file_with_own_data_alone(town: Town) -> None:
    await draw_picture(town.ana, prompt="a fox at dusk")
    await draw_picture(town.ben, prompt="a badger")

    given = await run_command(town.ana, "privacy export")

    (file,) = given.attachments
    text = file.data.decode()
    assert given.is_ephemeral
    assert file.filename.endswith(".json")
    assert json.loads(text)
    assert "a fox at dusk" in text
    assert "badger" not in text


async def test_own_data_is_deleted_after_a_confirmation_and_amounts_stay(town: Town) -> None:
    picture, picture_of_ben = await draw_picture(town.ana, prompt="a fox at dusk"), await draw_picture(town.ben)
    await town.wait_until_idle()
    spent = read_database_state(town.app)["ledger"]

    question = await run_command(town.ana, "privacy delete")
    question_text = question.text
    gone = await (await town.ana.press(question, "Delete everything")).wait_for_private_message()
    await town.wait_until(lambda: picture.is_deleted)

    assert question_text.startswith("This deletes what you asked, ")
    assert "on every Discord server" in question_text
    assert gone.text == "It is gone. Amounts stay in the books, without words."
    assert not picture_of_ben.is_deleted
    assert read_database_state(town.app)["ledger"] == spent
    assert "fox" not in await read_answer(town.ana, "show")
    export = await run_command(town.ana, "privacy export")
    assert b"a fox at dusk" not in export.attachments[0].data


async def test_a_declined_deletion_deletes_nothing(town: Town) -> None:
    picture = await draw_picture(town.ana)

    question = await run_command(town.ana, "privacy delete")
    no = await (await town.ana.press(question, "No")).wait_for_private_message()

    assert no.text == "All right: nothing was done, and nothing was charged."
    assert not picture.is_deleted
    assert "/imagine a fox" in await read_answer(town.ana, "show")
