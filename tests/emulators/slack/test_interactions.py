"""Commands and presses reach the app over both transports, and people see the app's response."""

import asyncio
from dataclasses import replace
from typing import Any

from tests.emulators.slack.client import SlackTestWorkspace

BUTTONS = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": "again", "text": {"type": "plain_text", "text": "Again"}}],
}


async def test_a_command_is_acknowledged_and_answered(connected_workspace: SlackTestWorkspace) -> None:
    @connected_workspace.bolt_app.app.command("/imagine")
    async def imagine(ack: Any, body: Any, client: Any, respond: Any) -> None:
        await ack()
        await client.chat_postMessage(channel=body["channel_id"], text=f"Drawing {body['text']}")
        await respond("Only you see this.")

    delivery = await connected_workspace.ana.use_command("/imagine", "a fox & <b>", connected_workspace.general)

    await delivery.wait_for_acknowledgement()
    assert 0 < delivery.acknowledgement_seconds < 3
    assert (await connected_workspace.general.wait_for_bot_message("Drawing")).visible_text == "Drawing a fox & <b>"
    assert (await connected_workspace.ana.wait_for_private_message()).visible_text == "Only you see this."
    assert connected_workspace.slack.violations == []


async def test_an_acknowledgement_may_answer(connected_workspace: SlackTestWorkspace) -> None:
    @connected_workspace.bolt_app.app.command("/help")
    async def answer(ack: Any) -> None:
        await ack("Just ask.")

    await connected_workspace.ana.use_command("/help")

    assert (
        await connected_workspace.ana.wait_for_private_message("Just ask")
    ).channel is connected_workspace.ana.direct_channel
    await connected_workspace.slack.wait_until_idle()
    assert connected_workspace.slack.violations == []


async def test_a_press_carries_its_message_and_edits_the_message(connected_workspace: SlackTestWorkspace) -> None:
    @connected_workspace.bolt_app.app.action("again")
    async def again(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="Again!")

    await connected_workspace.client.chat_postMessage(
        channel=connected_workspace.general.id, text="Done", blocks=[BUTTONS]
    )
    message = await connected_workspace.general.wait_for_bot_message()

    await (await connected_workspace.ana.press(message, "Again")).wait_for_acknowledgement()

    await message.wait_for_text("Again!")
    assert message.text_history == ["", "Again!"]
    assert connected_workspace.slack.violations == []


async def test_a_late_acknowledgement_is_a_violation_and_a_notice(
    connected_workspace: SlackTestWorkspace,
) -> None:
    begun, held = asyncio.Event(), asyncio.Event()

    @connected_workspace.bolt_app.app.command("/slow")
    async def slow(ack: Any) -> None:
        begun.set()
        await held.wait()
        await ack()

    delivery = await connected_workspace.ana.use_command("/slow")
    await begun.wait()
    connected_workspace.slack.clock.advance(3)

    assert 'failed with the error "operation_timeout"' in await connected_workspace.ana.wait_for_notice("/slow")
    assert delivery.is_acknowledged is False
    assert connected_workspace.slack.violations == ["/slow was not acknowledged within 3 s."]
    held.set()


async def test_a_command_without_a_connected_app_fails_at_once(workspace: SlackTestWorkspace) -> None:
    await workspace.ana.use_command("/imagine")

    assert "dispatch_failed" in await workspace.ana.wait_for_notice()


async def test_a_response_url_takes_five_answers_in_thirty_minutes(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()
    answers: list[int] = []

    @workspace.bolt_app.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        for number in range(6):
            answers.append((await respond(f"number {number}", response_type="in_channel")).status_code)
        await workspace.client.chat_postMessage(channel=workspace.general.id, text="done")

    await workspace.ana.use_command("/talk", "", workspace.general)
    await workspace.general.wait_for_bot_message("done")

    assert answers == [200, 200, 200, 200, 200, 404]
    assert [message.visible_text for message in workspace.general.bot_messages][:2] == ["number 0", "number 1"]


async def test_a_response_url_expires(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()
    status: list[int] = []

    @workspace.bolt_app.app.command("/talk")
    async def talk(ack: Any, respond: Any) -> None:
        await ack()
        workspace.slack.clock.advance(30 * 60 + 1)
        status.append((await respond("too late")).status_code)
        await workspace.client.chat_postMessage(channel=workspace.general.id, text="done")

    await workspace.ana.use_command("/talk", "", workspace.general)
    await workspace.general.wait_for_bot_message("done")

    assert status == [404]


async def test_a_response_url_replaces_and_deletes_the_message_of_the_button(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()

    @workspace.bolt_app.app.action("again")
    async def again(ack: Any, respond: Any) -> None:
        await ack()
        await respond("Replaced", replace_original=True)
        await respond(delete_original=True)

    await workspace.client.chat_postEphemeral(
        channel=workspace.general.id, user=workspace.ana.id, text="Psst", blocks=[BUTTONS]
    )
    message = await workspace.ana.wait_for_private_message()

    await workspace.ana.press(message, "again")

    await message.wait_until(lambda message: message.is_deleted, "deletion")
    assert message.text_history == ["", "Replaced", "Replaced"]
    assert workspace.ana.private_messages == []
    assert workspace.slack.violations == []


async def test_latency_is_that_of_the_round_trip(workspace: SlackTestWorkspace) -> None:
    begun_at = workspace.slack.clock.now()
    workspace.slack.options = replace(workspace.slack.options, round_trip_seconds=0.1)

    await workspace.client.auth_test()

    assert workspace.slack.clock.now() - begun_at >= 0.1
