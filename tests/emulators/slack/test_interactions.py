"""Commands and presses reach the app over both wires, and what it answers is seen."""

import asyncio
from dataclasses import replace
from typing import Any

from tests.emulators.slack.client import SlackTestWorkspace

BUTTONS = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": "again", "text": {"type": "plain_text", "text": "Again"}}],
}


async def test_a_command_is_acknowledged_and_answered(wired: SlackTestWorkspace) -> None:
    @wired.bolt_app.app.command("/imagine")
    async def imagine(ack: Any, body: Any, client: Any, respond: Any) -> None:
        await ack()
        await client.chat_postMessage(channel=body["channel_id"], text=f"Drawing {body['text']}")
        await respond("Only you see this.")

    delivery = await wired.ana.use_command("/imagine", "a fox & <b>", wired.general)

    await delivery.wait_for_acknowledgement()
    assert 0 < delivery.acknowledgement_seconds < 1
    assert (await wired.general.wait_for_bot_message("Drawing")).visible_text == "Drawing a fox & <b>"
    assert (await wired.ana.wait_for_private_message()).visible_text == "Only you see this."
    assert wired.slack.violations == []


async def test_an_acknowledgement_may_answer(wired: SlackTestWorkspace) -> None:
    @wired.bolt_app.app.command("/help")
    async def answer(ack: Any) -> None:
        await ack("Just ask.")

    await wired.ana.use_command("/help")

    assert (await wired.ana.wait_for_private_message("Just ask")).channel is wired.ana.direct_channel
    await wired.slack.wait_until_idle()
    assert wired.slack.violations == []


async def test_a_press_knows_its_message_and_edits_it(wired: SlackTestWorkspace) -> None:
    @wired.bolt_app.app.action("again")
    async def again(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="Again!")

    await wired.client.chat_postMessage(channel=wired.general.id, text="Done", blocks=[BUTTONS])
    message = await wired.general.wait_for_bot_message()

    await (await wired.ana.press(message, "Again")).wait_for_acknowledgement()

    await message.wait_for_text("Again!")
    assert message.text_history == ["", "Again!"]
    assert wired.slack.violations == []


async def test_a_late_acknowledgement_is_a_violation_and_told_to_the_person(wired: SlackTestWorkspace) -> None:
    begun, held = asyncio.Event(), asyncio.Event()

    @wired.bolt_app.app.command("/slow")
    async def slow(ack: Any) -> None:
        begun.set()
        await held.wait()
        await ack()

    delivery = await wired.ana.use_command("/slow")
    await begun.wait()
    wired.slack.clock.advance(3)

    assert 'failed with the error "operation_timeout"' in await wired.ana.wait_for_notice("/slow")
    assert delivery.is_acknowledged is False
    assert wired.slack.violations == ["/slow was not acknowledged within 3 s."]
    held.set()


async def test_a_command_to_nobody_fails_at_once(place: SlackTestWorkspace) -> None:
    await place.ana.use_command("/imagine")

    assert "dispatch_failed" in await place.ana.wait_for_notice()


async def test_a_response_url_takes_five_answers_in_thirty_minutes(place: SlackTestWorkspace) -> None:
    await place.bolt_app.connect()
    answers: list[int] = []

    @place.bolt_app.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        for number in range(6):
            answers.append((await respond(f"number {number}", response_type="in_channel")).status_code)
        await place.client.chat_postMessage(channel=place.general.id, text="done")

    await place.ana.use_command("/talk", "", place.general)
    await place.general.wait_for_bot_message("done")

    assert answers == [200, 200, 200, 200, 200, 404]
    assert [message.visible_text for message in place.general.bot_messages][:2] == ["number 0", "number 1"]


async def test_an_old_response_url_is_gone(place: SlackTestWorkspace) -> None:
    await place.bolt_app.connect()
    status: list[int] = []

    @place.bolt_app.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        place.slack.clock.advance(30 * 60 + 1)
        status.append((await respond("too late")).status_code)
        await place.client.chat_postMessage(channel=place.general.id, text="done")

    await place.ana.use_command("/talk", "", place.general)
    await place.general.wait_for_bot_message("done")

    assert status == [404]


async def test_a_response_url_replaces_and_deletes_the_message_of_the_button(place: SlackTestWorkspace) -> None:
    await place.bolt_app.connect()

    @place.bolt_app.app.action("again")
    async def again(ack: Any, respond: Any) -> None:
        await ack()
        await respond("Replaced", replace_original=True)
        await respond(delete_original=True)

    await place.client.chat_postEphemeral(channel=place.general.id, user=place.ana.id, text="Psst", blocks=[BUTTONS])
    message = await place.ana.wait_for_private_message()

    await place.ana.press(message, "again")

    await message.wait_until(lambda message: message.is_deleted, "deletion")
    assert message.text_history == ["", "Replaced", "Replaced"]
    assert place.ana.private_messages == []
    assert place.slack.violations == []


async def test_latency_is_that_of_the_round_trip(place: SlackTestWorkspace) -> None:
    begun_at = place.slack.clock.now()
    place.slack.options = replace(place.slack.options, round_trip_seconds=0.1)

    await place.client.auth_test()

    assert place.slack.clock.now() - begun_at >= 0.1
