"""Commands and presses reach the app over both wires, and what it answers is seen."""

import asyncio
from dataclasses import replace
from typing import Any

from tests.emulators.slack.place import Place

BUTTONS = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": "again", "text": {"type": "plain_text", "text": "Again"}}],
}


async def test_a_command_is_acknowledged_and_answered(wired: Place) -> None:
    @wired.bolt.app.command("/imagine")
    async def imagine(ack: Any, body: Any, client: Any, respond: Any) -> None:
        await ack()
        await client.chat_postMessage(channel=body["channel_id"], text=f"Drawing {body['text']}")
        await respond("Only you see this.")

    delivery = await wired.ana.slash("/imagine", "a fox & <b>", wired.general)

    await delivery.acked()
    assert 0 < delivery.seconds < 1
    assert (await wired.general.bot_says("Drawing")).shown == "Drawing a fox & <b>"
    assert (await wired.ana.told()).shown == "Only you see this."
    assert wired.slack.violations == []


async def test_an_acknowledgement_may_answer(wired: Place) -> None:
    @wired.bolt.app.command("/help")
    async def answer(ack: Any) -> None:
        await ack("Just ask.")

    await wired.ana.slash("/help")

    assert (await wired.ana.told("Just ask")).channel is wired.ana.dm
    await wired.slack.quiet()
    assert wired.slack.violations == []


async def test_a_press_knows_its_message_and_edits_it(wired: Place) -> None:
    @wired.bolt.app.action("again")
    async def again(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="Again!")

    await wired.client.chat_postMessage(channel=wired.general.id, text="Done", blocks=[BUTTONS])
    message = await wired.general.bot_says()

    await (await wired.ana.press(message, "Again")).acked()

    await message.shows("Again!")
    assert message.history == ["", "Again!"]
    assert wired.slack.violations == []


async def test_a_late_acknowledgement_is_a_violation_and_told_to_the_person(wired: Place) -> None:
    begun, held = asyncio.Event(), asyncio.Event()

    @wired.bolt.app.command("/slow")
    async def slow(ack: Any) -> None:
        begun.set()
        await held.wait()
        await ack()

    delivery = await wired.ana.slash("/slow")
    await begun.wait()
    wired.slack.clock.advance(3)

    assert 'failed with the error "operation_timeout"' in await wired.ana.noticed("/slow")
    assert delivery.is_acked is False
    assert wired.slack.violations == ["/slow was not acknowledged within 3 s."]
    held.set()


async def test_a_command_to_nobody_fails_at_once(place: Place) -> None:
    await place.ana.slash("/imagine")

    assert "dispatch_failed" in await place.ana.noticed()


async def test_a_response_url_takes_five_answers_in_thirty_minutes(place: Place) -> None:
    await place.bolt.connect()
    answers: list[int] = []

    @place.bolt.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        for number in range(6):
            answers.append((await respond(f"number {number}", response_type="in_channel")).status_code)
        await place.client.chat_postMessage(channel=place.general.id, text="done")

    await place.ana.slash("/talk", "", place.general)
    await place.general.bot_says("done")

    assert answers == [200, 200, 200, 200, 200, 404]
    assert [message.shown for message in place.general.of_bot][:2] == ["number 0", "number 1"]


async def test_an_old_response_url_is_gone(place: Place) -> None:
    await place.bolt.connect()
    status: list[int] = []

    @place.bolt.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        place.slack.clock.advance(30 * 60 + 1)
        status.append((await respond("too late")).status_code)
        await place.client.chat_postMessage(channel=place.general.id, text="done")

    await place.ana.slash("/talk", "", place.general)
    await place.general.bot_says("done")

    assert status == [404]


async def test_a_response_url_replaces_and_deletes_the_message_of_the_button(place: Place) -> None:
    await place.bolt.connect()

    @place.bolt.app.action("again")
    async def again(ack: Any, respond: Any) -> None:
        await ack()
        await respond("Replaced", replace_original=True)
        await respond(delete_original=True)

    await place.client.chat_postEphemeral(channel=place.general.id, user=place.ana.id, text="Psst", blocks=[BUTTONS])
    message = await place.ana.told()

    await place.ana.press(message, "again")

    await message.until(lambda message: message.is_deleted, "deletion")
    assert message.history == ["", "Replaced", "Replaced"]
    assert place.ana.ephemerals == []
    assert place.slack.violations == []


async def test_latency_is_that_of_the_round_trip(place: Place) -> None:
    begun_at = place.slack.clock.now()
    place.slack.options = replace(place.slack.options, round_trip=0.1)

    await place.client.auth_test()

    assert place.slack.clock.now() - begun_at >= 0.1
