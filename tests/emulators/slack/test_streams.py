"""Streams: lifetime, size, modes, and Stop."""

from typing import Any

import pytest

from tests.emulators.slack.client import SlackTestWorkspace, expect_error
from tests.emulators.slack.messages import SlackMessageState


async def start_stream(workspace: SlackTestWorkspace, **more: Any) -> tuple[SlackMessageState, Any]:
    """Start a stream in a thread; return the message and the arguments for further calls."""
    root = await workspace.post_root_message()
    to: Any = {"recipient_team_id": workspace.team.id, "recipient_user_id": workspace.ana.id}
    started = await workspace.client.chat_startStream(channel=workspace.general.id, thread_ts=root.ts, **to, **more)
    message = workspace.general.find_message(started["ts"])
    assert message
    return message, {"channel": workspace.general.id, "ts": started["ts"]}


async def test_the_helper_of_the_sdk_streams(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    stream = await workspace.client.chat_stream(
        channel=workspace.general.id, thread_ts=root.ts, recipient_team_id=workspace.team.id,
        recipient_user_id=workspace.ana.id, buffer_size=1,
    )  # fmt: skip
    for word in ("one ", "two ", "three"):
        await stream.append(markdown_text=word)
    await stream.stop(blocks=[{"type": "divider"}])

    message = await (await workspace.general.get_thread(root).wait_for_bot_message()).wait_for_stream_end()
    assert message.text_history == ["one ", "one two ", "one two three", "one two three"]
    assert message.blocks == [{"type": "divider"}]
    assert workspace.slack.violations == []


async def test_a_stream_lives_three_hundred_seconds(workspace: SlackTestWorkspace) -> None:
    message, stream = await start_stream(workspace, markdown_text="a")
    workspace.slack.clock.advance(299)
    await workspace.client.chat_appendStream(**stream, markdown_text="b")

    workspace.slack.clock.advance(2)

    assert (
        await expect_error(workspace.client.chat_appendStream(**stream, markdown_text="c"))
        == "message_not_in_streaming_state"
    )
    assert await expect_error(workspace.client.chat_stopStream(**stream)) == "message_not_in_streaming_state"
    assert message.visible_text == "ab"
    await workspace.client.chat_update(**stream, text="repaired")
    assert message.visible_text == "repaired"


async def test_a_stream_takes_ten_thousand_six_hundred_bytes_in_all(workspace: SlackTestWorkspace) -> None:
    message, stream = await start_stream(workspace, markdown_text="ä" * 5000)

    await workspace.client.chat_appendStream(**stream, markdown_text="ä" * 300)

    assert await expect_error(workspace.client.chat_appendStream(**stream, markdown_text="b")) == "msg_too_long"
    assert await expect_error(workspace.client.chat_stopStream(**stream, markdown_text="b")) == "msg_too_long"
    await workspace.client.chat_stopStream(**stream)
    assert message.visible_text == "ä" * 5300


async def test_a_live_stream_is_not_edited(workspace: SlackTestWorkspace) -> None:
    _, stream = await start_stream(workspace, markdown_text="a")

    assert await expect_error(workspace.client.chat_update(**stream, text="b")) == "streaming_state_conflict"


async def test_a_stream_keeps_its_mode(workspace: SlackTestWorkspace) -> None:
    _, stream = await start_stream(workspace, markdown_text="a")
    chunks = [{"type": "markdown_text", "text": "b"}]

    mixed = await expect_error(workspace.client.chat_appendStream(**stream, chunks=chunks))
    both = await expect_error(workspace.client.chat_appendStream(**stream, markdown_text="b", chunks=chunks))
    nothing = await expect_error(workspace.client.chat_appendStream(**stream))

    assert mixed == "streaming_mode_mismatch"
    assert both == "cannot_provide_both_markdown_text_and_chunks"
    assert nothing == "no_text"


async def test_tasks_and_plans_are_kept(workspace: SlackTestWorkspace) -> None:
    task = {"type": "task_update", "id": "draw", "title": "Drawing", "status": "in_progress", "details": "1 of 2. "}
    message, stream = await start_stream(workspace, chunks=[{"type": "plan_update", "title": "Your fox"}, task])

    await workspace.client.chat_appendStream(**stream, chunks=[task | {"status": "complete", "details": "2 of 2."}])

    assert message.stream
    assert message.stream.plan == "Your fox"
    assert message.stream.tasks["draw"]["status"] == "complete"
    assert message.stream.tasks["draw"]["details"] == "1 of 2. 2 of 2."
    wrong = [{"type": "task_update", "id": "draw", "title": "Drawing", "status": "half"}]
    assert await expect_error(workspace.client.chat_appendStream(**stream, chunks=wrong)) == "invalid_chunks"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"recipient_user_id": None}, "missing_recipient_user_id"),
        ({"recipient_team_id": None}, "missing_recipient_team_id"),
        ({"recipient_user_id": "U0"}, "user_not_found"),
        ({"thread_ts": "1.0"}, "thread_not_found"),
        ({"channel": "C0"}, "channel_not_found"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
    ],
)
async def test_a_stream_does_not_begin(workspace: SlackTestWorkspace, change: dict[str, Any], error: str) -> None:
    root = await workspace.post_root_message()
    to: Any = {"recipient_team_id": workspace.team.id, "recipient_user_id": workspace.ana.id}
    args: Any = {"channel": workspace.general.id, "thread_ts": root.ts, "markdown_text": "a", **to, **change}

    assert await expect_error(workspace.client.chat_startStream(**args)) == error


async def test_a_stop_by_a_person_reaches_the_app(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()
    heard: list[Any] = []

    @workspace.bolt_app.app.event("agent_session_stopped")
    async def stopped(event: Any) -> None:
        heard.append(event)
        workspace.slack.changes.notify()

    message, stream = await start_stream(workspace, markdown_text="a")

    await workspace.ana.stop_stream(message)

    await workspace.slack.changes.wait_for(lambda: heard, "event")
    assert heard[0]["streaming_message_ts"] == [message.ts]
    assert await expect_error(workspace.client.chat_appendStream(**stream, markdown_text="b")) == "stopped_by_user"
    assert await expect_error(workspace.client.chat_stopStream(**stream)) == "stopped_by_user"


async def test_a_stream_in_a_channel_without_the_app_is_refused(workspace: SlackTestWorkspace) -> None:
    elsewhere = workspace.team.add_channel("elsewhere", has_bot=False)
    to: Any = {"recipient_team_id": workspace.team.id, "recipient_user_id": workspace.ana.id}

    assert (
        await expect_error(workspace.client.chat_startStream(channel=elsewhere.id, thread_ts="1.0", **to))
        == "not_in_channel"
    )
