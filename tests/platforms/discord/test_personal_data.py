"""What a person decides alone on Discord: a price above an amount, and what is kept of them."""

import asyncio
import json

from tests.emulators.discord.messages import DiscordMessageState
from tests.platforms.database_state import read_database_state
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town, is_done

DEAR = {"prompt": "a fox", "model": "flux-dev"}


async def asked(town: Town) -> DiscordMessageState:
    """Ana's question about a dear picture, in a server that wants one above 20 credits."""
    await DiscordStaff(town).ask_as_moderator("settings general", confirm_above=20)
    return await run_command(town.ana, "imagine", DEAR)


async def test_a_price_above_the_amount_is_asked_once_and_done_once(town: Town) -> None:
    question = await asked(town)
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


async def test_no_is_no_and_costs_nothing(town: Town) -> None:
    question = await asked(town)
    before = read_database_state(town.app)

    no = await (await town.ana.press(question, "No")).wait_for_private_message()
    await question.wait_until(lambda one: not one.button_labels)

    assert no.text == "All right: nothing was done, and nothing was charged."
    assert read_database_state(town.app) == before
    assert town.backend.runs == {}


async def test_somebody_else_cannot_answer_not_even_with_the_question_s_own_id(town: Town) -> None:
    question = await asked(town)
    bens = await draw_picture(town.ben)
    await town.wait_until_idle()
    before = read_database_state(town.app)

    forged = question.buttons[0].custom_id
    next(node for row in bens.components for node in row.get("components", ()))["custom_id"] = forged
    refused = await (await town.ben.press(bens, custom_id=forged)).wait_for_private_message()

    assert refused.text == "Only the person who was asked can answer this."
    assert read_database_state(town.app) == before
    assert len(town.backend.runs) == 1
    assert "· was refused · what button" in await DiscordStaff(town).ask_as_moderator("audit", kind="refusals")


async def test_own_data_comes_as_a_file_for_one_person(town: Town) -> None:
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


async def test_own_data_is_deleted_after_a_question_and_amounts_stay(town: Town) -> None:
    picture, bens = await draw_picture(town.ana, prompt="a fox at dusk"), await draw_picture(town.ben)
    await town.wait_until_idle()
    spent = read_database_state(town.app)["ledger"]

    question = await run_command(town.ana, "privacy delete")
    asked_first = question.text
    gone = await (await town.ana.press(question, "Delete everything")).wait_for_private_message()
    await town.wait_until(lambda: picture.is_deleted)

    assert asked_first.startswith("This deletes what you asked, ")
    assert "on every Discord server" in asked_first
    assert gone.text == "It is gone. Amounts stay in the books, without words."
    assert not bens.is_deleted
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
