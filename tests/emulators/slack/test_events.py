"""Events reach the app in Slack's form and are retried until acknowledged."""

from collections import Counter
from typing import Any

from tests.emulators.slack.client import SlackTestWorkspace


def record_events(workspace: SlackTestWorkspace) -> list[dict[str, Any]]:
    """Return a list of all events that the app receives from now on."""
    events: list[dict[str, Any]] = []

    async def listen(event: dict[str, Any], body: dict[str, Any], request: Any) -> None:
        events.append(event | {"event_id": body["event_id"], "retry": request.headers.get("x-slack-retry-num")})
        workspace.slack.changes.notify()

    for kind in ("message", "app_mention", "app_home_opened", "app_uninstalled", "tokens_revoked"):
        workspace.bolt_app.app.event(kind)(listen)
    return events


async def wait_for_events(workspace: SlackTestWorkspace, events: list[dict[str, Any]], count: int) -> None:
    await workspace.slack.changes.wait_for(lambda: len(events) >= count, f"{count} events")


async def test_a_mention_arrives_twice_in_a_channel(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)

    said = await connected_workspace.ana.say(f"{connected_workspace.team.mention} hello", connected_workspace.general)

    await wait_for_events(connected_workspace, events, 2)
    assert {event["type"] for event in events} == {"app_mention", "message"}
    assert {event["ts"] for event in events} == {said.ts}
    assert len(said.deliveries) == 2
    for delivery in said.deliveries:
        await delivery.wait_for_acknowledgement()
    assert connected_workspace.slack.violations == []


async def test_a_dm_is_a_message_of_an_im(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)

    await connected_workspace.ana.say("hello", files=[b"picture"])

    await wait_for_events(connected_workspace, events, 1)
    (event,) = events
    assert (event["channel_type"], event["subtype"], event["user"]) == ("im", "file_share", connected_workspace.ana.id)
    assert event["files"][0]["mimetype"] == "image/png"


async def test_a_channel_without_the_app_sends_no_events(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)
    elsewhere = connected_workspace.team.add_channel("elsewhere", has_bot=False)

    await connected_workspace.ana.say(f"{connected_workspace.team.mention} hello", elsewhere)
    await connected_workspace.ana.say("hello", connected_workspace.general)

    await wait_for_events(connected_workspace, events, 1)
    assert events[0]["channel"] == connected_workspace.general.id


async def test_answers_in_a_thread_name_their_root(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)

    root = await connected_workspace.ana.say("first", connected_workspace.general)
    await connected_workspace.ana.say("second", thread=root)
    await connected_workspace.ana.say("third", thread=connected_workspace.general.get_thread(root))

    await wait_for_events(connected_workspace, events, 3)
    second = next(event for event in events if event["text"] == "second")
    assert (second["thread_ts"], second["parent_user_id"]) == (root.ts, connected_workspace.ana.id)
    assert [message.text for message in connected_workspace.general.get_thread(root).messages] == ["second", "third"]


async def test_the_apps_own_messages_are_echoed_and_dropped_by_bolt(
    connected_workspace: SlackTestWorkspace,
) -> None:
    events = record_events(connected_workspace)

    await connected_workspace.client.chat_postMessage(channel=connected_workspace.general.id, text="mine")
    await connected_workspace.ana.say("hers", connected_workspace.general)

    await wait_for_events(connected_workspace, events, 1)
    kinds = Counter(
        delivery.payload["event"]["text"] for delivery in connected_workspace.slack.delivery_service.deliveries
    )
    assert kinds == {"mine": 1, "hers": 1}
    assert [event["text"] for event in events] == ["hers"]


async def test_an_edit_and_a_deletion_send_events(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)
    said = await connected_workspace.ana.say("hello", connected_workspace.general)
    await wait_for_events(connected_workspace, events, 1)

    await connected_workspace.ana.edit(said, "hello there")
    connected_workspace.slack.delete_message(said)

    await wait_for_events(connected_workspace, events, 3)
    assert {event.get("subtype") for event in events} == {None, "message_changed", "message_deleted"}


async def test_an_event_can_be_resent(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)
    said = await connected_workspace.ana.say("hello", connected_workspace.general)
    await wait_for_events(connected_workspace, events, 1)

    await said.deliveries[0].resend().wait_for_acknowledgement()

    await wait_for_events(connected_workspace, events, 2)
    assert events[0]["event_id"] == events[1]["event_id"]
    assert events[1]["retry"] == ["1"]


async def test_the_home_opens(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)

    await connected_workspace.ana.open_app_home()

    await wait_for_events(connected_workspace, events, 1)
    assert (events[0]["tab"], events[0]["channel"]) == ("messages", connected_workspace.ana.direct_channel.id)


async def test_uninstalling_revokes_the_token_and_sends_events(connected_workspace: SlackTestWorkspace) -> None:
    events = record_events(connected_workspace)
    await connected_workspace.client.auth_test()  # bolt caches the app's identity, as in a running app
    await connected_workspace.ana.say("hello", connected_workspace.general)
    await wait_for_events(connected_workspace, events, 1)

    await connected_workspace.team.uninstall()

    await wait_for_events(connected_workspace, events, 3)
    assert {event["type"] for event in events[1:]} == {"tokens_revoked", "app_uninstalled"}
