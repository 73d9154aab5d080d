"""What people say arrives as Slack tells it, and comes again when it was not heard."""

from collections import Counter
from typing import Any

from tests.emulators.slack.client import SlackTestWorkspace


def hear(place: SlackTestWorkspace) -> list[dict[str, Any]]:
    """All events that the app gets."""
    heard: list[dict[str, Any]] = []

    async def listen(event: dict[str, Any], body: dict[str, Any], request: Any) -> None:
        heard.append(event | {"event_id": body["event_id"], "retry": request.headers.get("x-slack-retry-num")})
        place.slack.changes.notify()

    for kind in ("message", "app_mention", "app_home_opened", "app_uninstalled", "tokens_revoked"):
        place.bolt_app.app.event(kind)(listen)
    return heard


async def until(place: SlackTestWorkspace, heard: list[dict[str, Any]], count: int) -> None:
    await place.slack.changes.wait_for(lambda: len(heard) >= count, f"{count} events")


async def test_a_mention_arrives_twice_in_a_channel(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)

    said = await wired.ana.say(f"{wired.team.mention} hello", wired.general)

    await until(wired, heard, 2)
    assert {event["type"] for event in heard} == {"app_mention", "message"}
    assert {event["ts"] for event in heard} == {said.ts}
    assert len(said.deliveries) == 2
    for delivery in said.deliveries:
        await delivery.wait_for_acknowledgement()
    assert wired.slack.violations == []


async def test_a_dm_is_a_message_of_an_im(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)

    await wired.ana.say("hello", files=[b"picture"])

    await until(wired, heard, 1)
    (event,) = heard
    assert (event["channel_type"], event["subtype"], event["user"]) == ("im", "file_share", wired.ana.id)
    assert event["files"][0]["mimetype"] == "image/png"


async def test_a_channel_without_the_app_is_silent(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)
    elsewhere = wired.team.add_channel("elsewhere", has_bot=False)

    await wired.ana.say(f"{wired.team.mention} hello", elsewhere)
    await wired.ana.say("hello", wired.general)

    await until(wired, heard, 1)
    assert heard[0]["channel"] == wired.general.id


async def test_answers_in_a_thread_name_their_root(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)

    root = await wired.ana.say("first", wired.general)
    await wired.ana.say("second", thread=root)
    await wired.ana.say("third", thread=wired.general.get_thread(root))

    await until(wired, heard, 3)
    second = next(event for event in heard if event["text"] == "second")
    assert (second["thread_ts"], second["parent_user_id"]) == (root.ts, wired.ana.id)
    assert [message.text for message in wired.general.get_thread(root).messages] == ["second", "third"]


async def test_the_apps_own_messages_come_back_to_it_and_bolt_drops_them(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)

    await wired.client.chat_postMessage(channel=wired.general.id, text="mine")
    await wired.ana.say("hers", wired.general)

    await until(wired, heard, 1)
    kinds = Counter(delivery.payload["event"]["text"] for delivery in wired.slack.delivery_service.deliveries)
    assert kinds == {"mine": 1, "hers": 1}
    assert [event["text"] for event in heard] == ["hers"]


async def test_an_edit_and_a_deletion_are_told(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)
    said = await wired.ana.say("hello", wired.general)
    await until(wired, heard, 1)

    await wired.ana.edit(said, "hello there")
    wired.slack.delete_message(said)

    await until(wired, heard, 3)
    assert {event.get("subtype") for event in heard} == {None, "message_changed", "message_deleted"}


async def test_the_same_event_may_come_again(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)
    said = await wired.ana.say("hello", wired.general)
    await until(wired, heard, 1)

    await said.deliveries[0].resend().wait_for_acknowledgement()

    await until(wired, heard, 2)
    assert heard[0]["event_id"] == heard[1]["event_id"]
    assert heard[1]["retry"] == ["1"]


async def test_the_home_opens(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)

    await wired.ana.open_app_home()

    await until(wired, heard, 1)
    assert (heard[0]["tab"], heard[0]["channel"]) == ("messages", wired.ana.direct_channel.id)


async def test_uninstalling_kills_the_token_and_is_told(wired: SlackTestWorkspace) -> None:
    heard = hear(wired)
    await wired.client.auth_test()  # bolt keeps who it is, as it would in a running app
    await wired.ana.say("hello", wired.general)
    await until(wired, heard, 1)

    await wired.team.uninstall()

    await until(wired, heard, 3)
    assert {event["type"] for event in heard[1:]} == {"tokens_revoked", "app_uninstalled"}
