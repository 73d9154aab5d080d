"""What a person decides alone in Slack: a price above an amount, and what is kept of them."""

import json

from tests.emulators.slack.messages import Message
from tests.platforms.kept import kept
from tests.platforms.slack.dialogue import Staff, answered, drawn, told
from tests.platforms.slack.office import Office

DEAR = "/imagine a fox --model flux-dev"


async def asked(office: Office) -> Message:
    """Ana's question about a dear picture, in a workspace that wants one above 20 credits."""
    await Staff(office).asks("/settings general --confirm_above 20")
    return await answered(office.ana, DEAR, office.general)


async def test_a_price_above_the_amount_is_asked_once_and_done_once(either: Office) -> None:
    question = await asked(either)
    shown, buttons, runs = question.shown, question.buttons, dict(either.backend.runs)

    first, second = [await either.ana.press(question, "Go ahead") for _ in range(2)]
    await first.acked()
    await second.acked()
    late = await either.ana.told("That question was answered already, or is more than an hour old. Please ask again.")
    picture = await either.general.bot_says(holds=lambda one: "Again" in one.buttons)
    await either.rest()

    assert (shown, buttons, runs) == ("This costs 25 credits with FLUX dev. Go ahead?", ["Go ahead", "No"], {})
    assert late
    assert either.general.of_bot == [picture]
    assert len(either.backend.runs) == 1
    assert "**75** of 100 credits" in await told(either.ana, "/usage")


async def test_no_is_no_and_costs_nothing(office: Office) -> None:
    question = await asked(office)
    before = kept(office.app)

    await office.ana.press(question, "No")
    await office.ana.told("All right: nothing was done, and nothing was charged.")

    assert question.is_deleted
    assert kept(office.app) == before
    assert office.backend.runs == {}


async def test_somebody_else_cannot_answer_not_even_with_the_question_s_own_id(either: Office) -> None:
    question = await asked(either)
    ben = Staff(either).ben
    bens = await drawn(ben, either.general)
    await either.rest()
    before = kept(either.app)

    bens.elements[0].update(action_id="confirm:0", value=question.elements[0]["value"])
    await ben.press(bens, "confirm:0")
    refused = await ben.told()

    assert refused.shown == "Only the person who was asked can answer this."
    assert kept(either.app) == before
    assert len(either.backend.runs) == 1
    assert "· was refused · what button" in await Staff(either).asks("/audit --kind refusals")


async def test_own_data_comes_as_a_file_into_the_direct_messages(office: Office) -> None:
    ben = Staff(office).ben
    await drawn(office.ana, office.general, "a fox at dusk")
    await drawn(ben, office.general, "a badger")

    await office.ana.slash("/privacy", "export", office.general)
    await office.ana.told("The file is in our direct messages.")

    (sent,) = office.ana.dm.of_bot
    (file,) = sent.files
    text = file.content.decode()
    assert file.name.endswith(".json")
    assert json.loads(text)
    assert "a fox at dusk" in text
    assert "badger" not in text


async def test_own_data_is_deleted_after_a_question_and_amounts_stay(either: Office) -> None:
    ben = Staff(either).ben
    picture = await drawn(either.ana, either.general, "a fox at dusk")
    bens = await drawn(ben, either.general)
    await either.rest()
    spent = kept(either.app)["ledger"]

    question = await answered(either.ana, "/privacy delete", either.general)
    shown = question.shown
    await either.ana.press(question, "Delete everything")
    await either.ana.told("It is gone. Amounts stay in the books, without words.")
    await picture.until(lambda message: message.is_deleted, "deletion")

    assert shown.startswith("This deletes what you asked, ")
    assert "in this Slack workspace" in shown
    assert not bens.is_deleted
    assert kept(either.app)["ledger"] == spent
    assert "fox" not in await told(either.ana, "/show")


async def test_a_declined_deletion_deletes_nothing(office: Office) -> None:
    picture = await drawn(office.ana, office.general)

    question = await answered(office.ana, "/privacy delete", office.general)
    await office.ana.press(question, "No")
    await office.ana.told("All right: nothing was done, and nothing was charged.")

    assert not picture.is_deleted
    assert "/imagine a fox" in await told(office.ana, "/show")
