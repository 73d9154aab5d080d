"""Files: uploads in three steps, processing, and downloads with a token only."""

from typing import Any

import aiohttp
import pytest

from tests.emulators.slack.client import SlackTestWorkspace, expect_error
from tests.emulators.slack.options import SlackLifetimes

PROCESSING = SlackLifetimes().processing_seconds


async def upload(workspace: SlackTestWorkspace, name: str = "fox.png", **more: Any) -> str:
    answer = await workspace.client.files_upload_v2(content=b"\x89PNG fox", filename=name, alt_txt="A fox", **more)
    return str(answer["file"]["id"])


def create_image_blocks(file: str) -> list[dict[str, Any]]:
    return [{"type": "image", "slack_file": {"id": file}, "alt_text": "A fox"}]


async def test_an_upload_with_blocks_is_one_message_found_by_its_file(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    blocks = '[{"type": "section", "text": {"type": "mrkdwn", "text": "Your fox"}}]'

    file = await upload(workspace, channel=workspace.general.id, thread_ts=root.ts, blocks=blocks)

    assert (await workspace.client.files_info(file=file))["file"]["shares"] == {}
    workspace.slack.clock.advance(PROCESSING)
    (share,) = (await workspace.client.files_info(file=file))["file"]["shares"]["public"][workspace.general.id]
    message = workspace.general.find_message(share["ts"])
    assert message
    assert (message.thread_ts, message.visible_text, message.alt_texts) == (root.ts, "Your fox", ["A fox"])
    assert message.files[0].content == b"\x89PNG fox"
    assert workspace.slack.violations == []


async def test_a_picture_is_shown_after_processing(workspace: SlackTestWorkspace) -> None:
    file = await upload(workspace)
    post: Any = {"channel": workspace.general.id, "text": "Your fox", "blocks": create_image_blocks(file)}

    early = await expect_error(workspace.client.chat_postMessage(**post))
    workspace.slack.clock.advance(PROCESSING)
    await workspace.client.chat_postMessage(**post)

    assert early == "invalid_blocks"
    assert "invalid slack file" in workspace.slack.violations[0]
    assert workspace.general.bot_messages[0].alt_texts == ["A fox"]


@pytest.mark.parametrize("name", ["fox.webp", "fox.txt"])
async def test_only_four_kinds_are_shown_in_blocks(workspace: SlackTestWorkspace, name: str) -> None:
    file = await upload(workspace, name)
    workspace.slack.clock.advance(PROCESSING)

    post = workspace.client.chat_postMessage(
        channel=workspace.general.id, text="Your fox", blocks=create_image_blocks(file)
    )

    assert await expect_error(post) == "invalid_blocks"


async def test_an_edit_puts_files_on_a_message(workspace: SlackTestWorkspace) -> None:
    message = await workspace.client.chat_postMessage(channel=workspace.general.id, text="Drawing")
    file = await upload(workspace)

    await workspace.client.chat_update(channel=workspace.general.id, ts=message["ts"], text="Done", file_ids=[file])

    (posted,) = workspace.general.bot_messages
    assert [file.name for file in posted.files] == ["fox.png"]
    lost = workspace.client.chat_update(channel=workspace.general.id, ts=message["ts"], text="Done", file_ids=["F0"])
    assert await expect_error(lost) == "file_not_found"


async def test_files_on_an_expired_stream_leave_its_text(workspace: SlackTestWorkspace) -> None:
    root = await workspace.post_root_message()
    to: Any = {"recipient_team_id": workspace.team.id, "recipient_user_id": workspace.ana.id}
    started = await workspace.client.chat_startStream(
        channel=workspace.general.id, thread_ts=root.ts, markdown_text="Your fox", **to
    )
    workspace.slack.clock.advance(301)
    file = await upload(workspace)

    edit = {"channel": workspace.general.id, "ts": started["ts"], "file_ids": [file]}
    await workspace.client.api_call("chat.update", json=edit)

    message = workspace.general.find_message(started["ts"])
    assert message
    assert (message.visible_text, len(message.files)) == ("Your fox", 1)


async def test_a_deleted_file_leaves_its_message(workspace: SlackTestWorkspace) -> None:
    file = await upload(workspace, channel=workspace.general.id)

    await workspace.client.files_delete(file=file)

    assert workspace.general.bot_messages[0].files == []
    assert await expect_error(workspace.client.files_info(file=file)) == "file_deleted"


async def test_files_need_the_app_in_the_channel(workspace: SlackTestWorkspace) -> None:
    elsewhere = workspace.team.add_channel("elsewhere", has_bot=False)

    assert await expect_error(upload(workspace, channel=elsewhere.id)) == "not_in_channel"


async def test_an_upload_of_another_length_is_refused(workspace: SlackTestWorkspace) -> None:
    ticket = await workspace.client.files_getUploadURLExternal(filename="fox.png", length=5)

    async with aiohttp.ClientSession() as session, session.post(ticket["upload_url"], data=b"123") as answer:
        assert answer.status == 400

    assert (
        await expect_error(workspace.client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}]))
        == "file_not_found"
    )


@pytest.mark.parametrize("has_token", [True, False])
async def test_a_private_file_needs_the_token_else_a_login_page(workspace: SlackTestWorkspace, has_token: bool) -> None:
    said = await workspace.ana.say("look", workspace.general, files=[b"\x89PNG"])
    url = said.files[0].to_json()["url_private_download"]
    headers = {"authorization": f"Bearer {workspace.team.bot_token}"} if has_token else {}

    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        kind, body = answer.content_type, await answer.read()

    assert answer.status == 200
    assert (kind, body) == ("image/png", b"\x89PNG") if has_token else (kind == "text/html" and b"Sign in" in body)
