"""Messages: where the app may write, how much, and what is told of it."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.emulators.slack.client import SlackTestWorkspace
from tests.emulators.slack.messages import SlackMessageState


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


async def posted(place: SlackTestWorkspace, **args: Any) -> SlackMessageState:
    answer = await place.client.chat_postMessage(**{"channel": place.general.id, "text": "hello", **args})
    message = place.team.channels[answer["channel"]].find_message(answer["ts"])
    assert message
    return message


async def test_a_post_is_answered_like_slacks(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()

    answer = await place.client.chat_postMessage(channel=place.general.id, thread_ts=root.ts, text="hello")

    assert answer["message"]["thread_ts"] == root.ts
    assert answer["message"]["bot_id"] == place.team.bot_id
    assert answer["ts"] > root.ts
    assert "chat:write" in answer.headers["x-oauth-scopes"]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"channel": "C0"}, "channel_not_found"),
        ({"markdown_text": "b"}, "markdown_text_conflict"),
        ({"text": None, "markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5}, "msg_blocks_too_long"),
        ({"channel": None}, "invalid_arguments"),
    ],
)
async def test_a_post_is_refused(place: SlackTestWorkspace, args: dict[str, Any], error: str) -> None:
    args = {
        name: value for name, value in {"channel": place.general.id, "text": "a", **args}.items() if value is not None
    }

    assert await refused(place.client.api_call("chat.postMessage", json=args)) == error


async def test_a_very_long_post_is_cut_and_a_long_edit_refused(place: SlackTestWorkspace) -> None:
    message = await posted(place, text="x" * 40_001)

    assert len(message.visible_text) == 40_000
    long_edit = place.client.chat_update(channel=place.general.id, ts=message.ts, text="ä" * 2001)
    assert await refused(long_edit) == "msg_too_long"


async def test_where_the_app_may_write(place: SlackTestWorkspace) -> None:
    elsewhere = place.team.add_channel("elsewhere", has_bot=False)
    secret = place.team.add_channel("secret", is_private=True, has_bot=False)
    old = place.team.add_channel("old")
    old.archive()

    assert await posted(place, channel=elsewhere.id)  # by chat:write.public
    place.team.scopes.discard("chat:write.public")

    assert await refused(place.client.chat_postMessage(channel=elsewhere.id, text="a")) == "not_in_channel"
    assert await refused(place.client.chat_postMessage(channel=secret.id, text="a")) == "channel_not_found"
    assert await refused(place.client.chat_postMessage(channel=old.id, text="a")) == "is_archived"
    assert (await posted(place, channel=place.ana.id)).channel is place.ana.direct_channel


async def test_only_its_own_lasting_messages_are_edited_and_deleted(place: SlackTestWorkspace) -> None:
    hers = await place.post_root_message()
    shown = await place.client.chat_postEphemeral(channel=place.general.id, user=place.ana.id, text="Psst")
    where: Any = {"channel": place.general.id}

    assert await refused(place.client.chat_update(**where, ts=hers.ts, text="b")) == "cant_update_message"
    assert await refused(place.client.chat_delete(**where, ts=hers.ts)) == "cant_delete_message"
    assert await refused(place.client.chat_update(**where, ts=shown["message_ts"], text="b")) == "message_not_found"
    message = await posted(place)
    await place.client.chat_delete(**where, ts=message.ts)
    assert message.is_deleted
    assert await refused(place.client.chat_update(**where, ts=message.ts, text="b")) == "message_not_found"


async def test_an_edit_without_blocks_takes_them_away(place: SlackTestWorkspace) -> None:
    message = await posted(place, blocks=[{"type": "divider"}])

    await place.client.chat_update(channel=place.general.id, ts=message.ts, text="plain")

    assert message.blocks == []
    assert message.text_history == ["", "plain"]


async def test_an_answer_to_a_reply_goes_to_its_thread_and_is_a_violation(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    reply = await posted(place, thread_ts=root.ts)

    answer = await posted(place, thread_ts=reply.ts)

    assert answer.thread_ts == root.ts
    assert len(place.slack.violations) == 1


async def test_a_deleted_root_can_be_answered_and_a_deleted_thread_cannot(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    await posted(place, thread_ts=root.ts)

    place.slack.delete_message(root)

    assert (await posted(place, thread_ts=root.ts)).thread_ts == root.ts
    told = await place.client.conversations_replies(channel=place.general.id, ts=root.ts)
    assert [message.get("subtype") for message in told["messages"]] == ["tombstone", None, None]
    place.slack.delete_thread(root)
    assert (await posted(place, thread_ts=root.ts)).thread_ts is None
    lost = place.client.conversations_replies(channel=place.general.id, ts=root.ts)
    assert await refused(lost) == "thread_not_found"


async def test_the_app_may_be_removed_and_come_back(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    place.general.remove_bot()

    history = place.client.conversations_replies(channel=place.general.id, ts=root.ts)
    assert await refused(history) == "not_in_channel"
    await place.client.conversations_join(channel=place.general.id)

    told = await place.client.conversations_replies(channel=place.general.id, ts=root.ts)
    assert [message["text"] for message in told["messages"]] == ["hello"]


async def test_history_comes_in_pages_newest_first(place: SlackTestWorkspace) -> None:
    for number in range(3):
        await posted(place, text=str(number))

    first = await place.client.conversations_history(channel=place.general.id, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await place.client.conversations_history(channel=place.general.id, limit=2, cursor=cursor)

    assert [message["text"] for message in first["messages"] + rest["messages"]] == ["2", "1", "0"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_pings_are_seen_wherever_they_stand(place: SlackTestWorkspace) -> None:
    harmless = await posted(place, text="hello @channel &lt;!here&gt; <#C1>")
    markdown = await posted(place, text=None, markdown_text="hello <!channel> and <@U123>")

    assert harmless.mentions == []
    assert markdown.mentions[:2] == ["<!channel>", "<@U123>"]


async def test_a_status_goes_after_two_minutes_or_with_a_post(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    thread = place.general.get_thread(root)
    say: Any = {"channel_id": place.general.id, "thread_ts": root.ts}

    await place.client.assistant_threads_setStatus(**say, status="is drawing…")
    assert thread.status == "is drawing…"
    place.slack.clock.advance(120)
    assert thread.status == ""

    await place.client.assistant_threads_setStatus(**say, status="is drawing…")
    await posted(place, thread_ts=root.ts)
    assert thread.status == ""


async def test_people_groups_and_reactions(place: SlackTestWorkspace) -> None:
    group = place.team.add_user_group("designers", [place.ana])
    message = await place.post_root_message()

    told = await place.client.users_info(user=place.ana.id, include_locale=True)
    members = await place.client.usergroups_users_list(usergroup=group.id)
    await place.client.reactions_add(channel=place.general.id, timestamp=message.ts, name="eyes")

    assert (told["user"]["is_admin"], told["user"]["is_owner"], told["user"]["locale"]) == (True, False, "en-US")
    assert members["users"] == [place.ana.id]
    assert message.reactions == ["eyes"]
    again = place.client.reactions_add(channel=place.general.id, timestamp=message.ts, name="eyes")
    assert await refused(again) == "already_reacted"


async def test_suggested_prompts_need_no_thread_in_the_dm(place: SlackTestWorkspace) -> None:
    prompts = [{"title": "Draw", "message": "Draw a fox"}]

    await place.client.assistant_threads_setSuggestedPrompts(channel_id=place.ana.direct_channel.id, prompts=prompts)

    assert place.team.suggested_prompts == prompts
    many = place.client.assistant_threads_setSuggestedPrompts(
        channel_id=place.ana.direct_channel.id, prompts=prompts * 5
    )
    assert await refused(many) == "invalid_arguments"


async def test_unknown_arguments_and_methods_are_violations(place: SlackTestWorkspace) -> None:
    await place.client.api_call("chat.postMessage", json={"channel": place.general.id, "text": "a", "colour": "red"})

    assert await refused(place.client.api_call("chat.postPoem")) == "unknown_method"
    assert place.slack.violations == [
        "chat.postMessage: unknown argument colour.",
        "chat.postPoem is no method that this Slack knows.",
    ]
