"""Files: three steps up, a moment's processing, and down with the token only."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from tests.emulators.slack.client import SlackTestWorkspace
from tests.emulators.slack.options import SlackLifetimes

PROCESSING = SlackLifetimes().processing_seconds


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


async def uploaded(place: SlackTestWorkspace, name: str = "fox.png", **more: Any) -> str:
    answer = await place.client.files_upload_v2(content=b"\x89PNG fox", filename=name, alt_txt="A fox", **more)
    return str(answer["file"]["id"])


def shown(file: str) -> list[dict[str, Any]]:
    return [{"type": "image", "slack_file": {"id": file}, "alt_text": "A fox"}]


async def test_an_upload_with_blocks_is_one_message_found_by_its_file(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    blocks = '[{"type": "section", "text": {"type": "mrkdwn", "text": "Your fox"}}]'

    file = await uploaded(place, channel=place.general.id, thread_ts=root.ts, blocks=blocks)

    assert (await place.client.files_info(file=file))["file"]["shares"] == {}
    place.slack.clock.advance(PROCESSING)
    (share,) = (await place.client.files_info(file=file))["file"]["shares"]["public"][place.general.id]
    message = place.general.find_message(share["ts"])
    assert message
    assert (message.thread_ts, message.visible_text, message.alt_texts) == (root.ts, "Your fox", ["A fox"])
    assert message.files[0].content == b"\x89PNG fox"
    assert place.slack.violations == []


async def test_a_picture_is_shown_when_it_was_looked_at(place: SlackTestWorkspace) -> None:
    file = await uploaded(place)
    post: Any = {"channel": place.general.id, "text": "Your fox", "blocks": shown(file)}

    early = await refused(place.client.chat_postMessage(**post))
    place.slack.clock.advance(PROCESSING)
    await place.client.chat_postMessage(**post)

    assert early == "invalid_blocks"
    assert "invalid slack file" in place.slack.violations[0]
    assert place.general.bot_messages[0].alt_texts == ["A fox"]


@pytest.mark.parametrize("name", ["fox.webp", "fox.txt"])
async def test_only_four_kinds_are_shown_in_blocks(place: SlackTestWorkspace, name: str) -> None:
    file = await uploaded(place, name)
    place.slack.clock.advance(PROCESSING)

    post = place.client.chat_postMessage(channel=place.general.id, text="Your fox", blocks=shown(file))

    assert await refused(post) == "invalid_blocks"


async def test_an_edit_puts_files_on_a_message(place: SlackTestWorkspace) -> None:
    message = await place.client.chat_postMessage(channel=place.general.id, text="Drawing")
    file = await uploaded(place)

    await place.client.chat_update(channel=place.general.id, ts=message["ts"], text="Done", file_ids=[file])

    (posted,) = place.general.bot_messages
    assert [file.name for file in posted.files] == ["fox.png"]
    lost = place.client.chat_update(channel=place.general.id, ts=message["ts"], text="Done", file_ids=["F0"])
    assert await refused(lost) == "file_not_found"


async def test_files_on_an_expired_stream_leave_its_text(place: SlackTestWorkspace) -> None:
    root = await place.post_root_message()
    to: Any = {"recipient_team_id": place.team.id, "recipient_user_id": place.ana.id}
    started = await place.client.chat_startStream(
        channel=place.general.id, thread_ts=root.ts, markdown_text="Your fox", **to
    )
    place.slack.clock.advance(301)
    file = await uploaded(place)

    edit = {"channel": place.general.id, "ts": started["ts"], "file_ids": [file]}
    await place.client.api_call("chat.update", json=edit)

    message = place.general.find_message(started["ts"])
    assert message
    assert (message.visible_text, len(message.files)) == ("Your fox", 1)


async def test_a_deleted_file_is_gone_from_its_message(place: SlackTestWorkspace) -> None:
    file = await uploaded(place, channel=place.general.id)

    await place.client.files_delete(file=file)

    assert place.general.bot_messages[0].files == []
    assert await refused(place.client.files_info(file=file)) == "file_deleted"


async def test_files_need_the_app_in_the_channel(place: SlackTestWorkspace) -> None:
    elsewhere = place.team.add_channel("elsewhere", has_bot=False)

    assert await refused(uploaded(place, channel=elsewhere.id)) == "not_in_channel"


async def test_an_upload_of_another_length_is_refused(place: SlackTestWorkspace) -> None:
    told = await place.client.files_getUploadURLExternal(filename="fox.png", length=5)

    async with aiohttp.ClientSession() as session, session.post(told["upload_url"], data=b"123") as answer:
        assert answer.status == 400

    assert await refused(place.client.files_completeUploadExternal(files=[{"id": told["file_id"]}])) == "file_not_found"


@pytest.mark.parametrize("has_token", [True, False])
async def test_a_private_file_comes_with_the_token_and_else_a_login_page(
    place: SlackTestWorkspace, has_token: bool
) -> None:
    said = await place.ana.say("look", place.general, files=[b"\x89PNG"])
    url = said.files[0].to_json()["url_private_download"]
    headers = {"authorization": f"Bearer {place.team.bot_token}"} if has_token else {}

    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        kind, body = answer.content_type, await answer.read()

    assert answer.status == 200
    assert (kind, body) == ("image/png", b"\x89PNG") if has_token else (kind == "text/html" and b"Sign in" in body)
