"""Messages: allowed channels, sizes, edits, replies, and history."""

from typing import Any

import pytest

from tests.emulators.slack.client import SlackTestWorkspace, expect_error
from tests.emulators.slack.messages import SlackMessageState


async def post(workspace: SlackTestWorkspace, **args: Any) -> SlackMessageState:
    answer = await workspace.client.chat_postMessage(**{"channel": workspace.general.id, "text": "hello", **args})
    message = workspace.team.channels[answer["channel"]].find_message(answer["ts"])
    assert message
    return message


async def test_a_post_is_answered_as_by_slack(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()

    answer = await workspace.client.chat_postMessage(channel=workspace.general.id, thread_ts=root.ts, text="hello")

    assert answer["message"]["thread_ts"] == root.ts
    assert answer["message"]["bot_id"] == workspace.team.bot_id
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
async def test_a_post_is_refused(workspace: SlackTestWorkspace, args: dict[str, Any], error: str) -> None:
    args = {
        name: value
        for name, value in {"channel": workspace.general.id, "text": "a", **args}.items()
        if value is not None
    }

    assert await expect_error(workspace.client.api_call("chat.postMessage", json=args)) == error


async def test_a_very_long_post_is_cut_and_a_long_edit_refused(workspace: SlackTestWorkspace) -> None:
    message = await post(workspace, text="x" * 40_001)

    assert len(message.visible_text) == 40_000
    long_edit = workspace.client.chat_update(channel=workspace.general.id, ts=message.ts, text="ä" * 2001)
    assert await expect_error(long_edit) == "msg_too_long"


async def test_membership_and_scopes_decide_where_the_app_may_write(workspace: SlackTestWorkspace) -> None:
    elsewhere = workspace.team.add_channel("elsewhere", has_bot=False)
    secret = workspace.team.add_channel("secret", is_private=True, has_bot=False)
    old = workspace.team.add_channel("old")
    old.archive()

    assert await post(workspace, channel=elsewhere.id)  # by chat:write.public
    workspace.team.scopes.discard("chat:write.public")

    assert await expect_error(workspace.client.chat_postMessage(channel=elsewhere.id, text="a")) == "not_in_channel"
    assert await expect_error(workspace.client.chat_postMessage(channel=secret.id, text="a")) == "channel_not_found"
    assert await expect_error(workspace.client.chat_postMessage(channel=old.id, text="a")) == "is_archived"
    assert (await post(workspace, channel=workspace.ana.id)).channel is workspace.ana.direct_channel


async def test_the_app_edits_and_deletes_only_its_own_lasting_messages(workspace: SlackTestWorkspace) -> None:
    hers = await workspace.post_root_message()
    shown = await workspace.client.chat_postEphemeral(channel=workspace.general.id, user=workspace.ana.id, text="Psst")
    where: Any = {"channel": workspace.general.id}

    assert await expect_error(workspace.client.chat_update(**where, ts=hers.ts, text="b")) == "cant_update_message"
    assert await expect_error(workspace.client.chat_delete(**where, ts=hers.ts)) == "cant_delete_message"
    assert (
        await expect_error(workspace.client.chat_update(**where, ts=shown["message_ts"], text="b"))
        == "message_not_found"
    )
    message = await post(workspace)
    await workspace.client.chat_delete(**where, ts=message.ts)
    assert message.is_deleted
    assert await expect_error(workspace.client.chat_update(**where, ts=message.ts, text="b")) == "message_not_found"


async def test_an_edit_without_blocks_removes_the_blocks(workspace: SlackTestWorkspace) -> None:
    message = await post(workspace, blocks=[{"type": "divider"}])

    await workspace.client.chat_update(channel=workspace.general.id, ts=message.ts, text="plain")

    assert message.blocks == []
    assert message.text_history == ["", "plain"]


async def test_an_answer_to_a_reply_goes_to_its_thread_and_is_a_violation(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    reply = await post(workspace, thread_ts=root.ts)

    answer = await post(workspace, thread_ts=reply.ts)

    assert answer.thread_ts == root.ts
    assert len(workspace.slack.violations) == 1


async def test_a_deleted_root_can_be_answered_and_a_deleted_thread_cannot(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    await post(workspace, thread_ts=root.ts)

    workspace.slack.delete_message(root)

    assert (await post(workspace, thread_ts=root.ts)).thread_ts == root.ts
    response = await workspace.client.conversations_replies(channel=workspace.general.id, ts=root.ts)
    assert [message.get("subtype") for message in response["messages"]] == ["tombstone", None, None]
    workspace.slack.delete_thread(root)
    assert (await post(workspace, thread_ts=root.ts)).thread_ts is None
    lost = workspace.client.conversations_replies(channel=workspace.general.id, ts=root.ts)
    assert await expect_error(lost) == "thread_not_found"


async def test_a_removed_app_can_rejoin(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    workspace.general.remove_bot()

    history = workspace.client.conversations_replies(channel=workspace.general.id, ts=root.ts)
    assert await expect_error(history) == "not_in_channel"
    await workspace.client.conversations_join(channel=workspace.general.id)

    response = await workspace.client.conversations_replies(channel=workspace.general.id, ts=root.ts)
    assert [message["text"] for message in response["messages"]] == ["hello"]


async def test_history_comes_in_pages_newest_first(workspace: SlackTestWorkspace) -> None:
    for number in range(3):
        await post(workspace, text=str(number))

    first = await workspace.client.conversations_history(channel=workspace.general.id, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await workspace.client.conversations_history(channel=workspace.general.id, limit=2, cursor=cursor)

    assert [message["text"] for message in first["messages"] + rest["messages"]] == ["2", "1", "0"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_mentions_are_found_in_text_and_blocks(workspace: SlackTestWorkspace) -> None:
    harmless = await post(workspace, text="hello @channel &lt;!here&gt; <#C1>")
    markdown = await post(workspace, text=None, markdown_text="hello <!channel> and <@U123>")

    assert harmless.mentions == []
    assert markdown.mentions[:2] == ["<!channel>", "<@U123>"]


async def test_a_status_ends_after_two_minutes_or_with_a_post(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    thread = workspace.general.get_thread(root)
    say: Any = {"channel_id": workspace.general.id, "thread_ts": root.ts}

    await workspace.client.assistant_threads_setStatus(**say, status="is drawing…")
    assert thread.status == "is drawing…"
    workspace.slack.clock.advance(120)
    assert thread.status == ""

    await workspace.client.assistant_threads_setStatus(**say, status="is drawing…")
    await post(workspace, thread_ts=root.ts)
    assert thread.status == ""


async def test_people_groups_and_reactions(workspace: SlackTestWorkspace) -> None:
    group = workspace.team.add_user_group("designers", [workspace.ana])
    message = await workspace.post_root_message()

    response = await workspace.client.users_info(user=workspace.ana.id, include_locale=True)
    members = await workspace.client.usergroups_users_list(usergroup=group.id)
    await workspace.client.reactions_add(channel=workspace.general.id, timestamp=message.ts, name="eyes")

    assert (response["user"]["is_admin"], response["user"]["is_owner"], response["user"]["locale"]) == (
        True,
        False,
        "en-US",
    )
    assert members["users"] == [workspace.ana.id]
    assert message.reactions == ["eyes"]
    again = workspace.client.reactions_add(channel=workspace.general.id, timestamp=message.ts, name="eyes")
    assert await expect_error(again) == "already_reacted"


async def test_suggested_prompts_need_no_thread_in_the_dm(workspace: SlackTestWorkspace) -> None:
    prompts = [{"title": "Draw", "message": "Draw a fox"}]

    await workspace.client.assistant_threads_setSuggestedPrompts(
        channel_id=workspace.ana.direct_channel.id, prompts=prompts
    )

    assert workspace.team.suggested_prompts == prompts
    many = workspace.client.assistant_threads_setSuggestedPrompts(
        channel_id=workspace.ana.direct_channel.id, prompts=prompts * 5
    )
    assert await expect_error(many) == "invalid_arguments"


async def test_unknown_arguments_and_methods_are_violations(workspace: SlackTestWorkspace) -> None:
    await workspace.client.api_call(
        "chat.postMessage", json={"channel": workspace.general.id, "text": "a", "colour": "red"}
    )

    assert await expect_error(workspace.client.api_call("chat.postPoem")) == "unknown_method"
    assert workspace.slack.violations == [
        "chat.postMessage: unknown argument colour.",
        "chat.postPoem is no method that this Slack knows.",
    ]
