"""chat: messages posted, edited, deleted, and shown to one person."""

from tests.emulators.slack.blocks import block_faults, block_text_length
from tests.emulators.slack.files import File
from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.methods.registry import Asked, method
from tests.emulators.slack.workspace import Channel

POST_CUT_CHARACTERS = 40_000
UPDATE_BYTES = 4_000
MARKDOWN_CHARACTERS = 12_000
BLOCKS_CHARACTERS = 13_200
METADATA_BYTES = 8_000


@method("chat.postMessage")
async def post_message(asked: Asked) -> Json:
    channel = _place_to_post(asked)
    thread_ts = asked.thread_ts(channel, must_be_there=False)
    text, blocks = checked_content(asked)
    message = own_message(asked, channel, thread_ts)
    fill(message, asked, text[:POST_CUT_CHARACTERS], blocks)
    channel.add(message)
    asked.team.clear_status(channel.id, thread_ts)
    asked.slack.events.message(message)
    return {"channel": channel.id, "ts": message.ts, "message": message.as_json()}


@method("chat.postEphemeral")
async def post_ephemeral(asked: Asked) -> Json:
    channel = asked.channel_to_write()
    if asked.args["user"] not in channel.members:
        raise Refused("user_not_in_channel")
    text, blocks = checked_content(asked)
    message = own_message(asked, channel, asked.args.get("thread_ts"))
    message.only_for = asked.args["user"]
    fill(message, asked, text, blocks)
    channel.add(message)
    return {"message_ts": message.ts}


@method("chat.update")
async def update(asked: Asked) -> Json:
    channel = asked.channel()
    message = asked.own_message(channel, "cant_update_message")
    if message.is_streaming:
        raise Refused("streaming_state_conflict")
    files = _files(asked)
    text, blocks = checked_content(asked, may_be_empty=files is not None)
    if len(text.encode()) > UPDATE_BYTES and "markdown_text" not in asked.args:
        raise Refused("msg_too_long")
    before = message.as_json()
    if message.stream and not message.edited_at:
        message.text = message.stream.text
    if "text" in asked.args or "markdown_text" in asked.args or blocks:
        fill(message, asked, text, blocks)
    if files is not None:
        message.files = files
        for file in files:
            file.share(message)
    message.edited_at = asked.slack.clock.stamp()
    message.keep(asked.slack.clock.now())
    asked.slack.events.changed(message, before)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.as_json()}


@method("chat.delete")
async def delete(asked: Asked) -> Json:
    channel = asked.channel()
    message = asked.own_message(channel, "cant_delete_message")
    asked.slack.delete(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.getPermalink")
async def permalink(asked: Asked) -> Json:
    channel = asked.channel()
    message = asked.message(channel, "message_ts")
    address = f"https://{asked.team.domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": address}


def _place_to_post(asked: Asked) -> Channel:
    """As other writing, but a person's id means their DM, and chat:write.public opens public channels."""
    if asked.args["channel"] in asked.team.people:
        return asked.team.dm(asked.args["channel"])
    channel = asked.channel()
    is_open = channel.type == "channel" and "chat:write.public" in asked.team.scopes
    return channel if is_open and not channel.is_archived else asked.channel_to_write()


def own_message(asked: Asked, channel: Channel, thread_ts: str | None) -> Message:
    stamp = asked.slack.clock.stamp()
    return Message(channel, stamp, asked.team.bot_user, thread_ts=thread_ts, bot_id=asked.team.bot_id)


def checked_content(asked: Asked, *, may_be_empty: bool = False) -> tuple[str, list[Json]]:
    """Text and blocks within Slack's limits. Raises Refused."""
    args = asked.args
    markdown, blocks = args.get("markdown_text"), checked_blocks(asked)
    if markdown is not None and (args.get("text") or blocks):
        raise Refused("markdown_text_conflict")
    if markdown is not None and len(markdown) > MARKDOWN_CHARACTERS:
        raise Refused("msg_too_long")
    text = markdown if markdown is not None else args.get("text") or ""
    if not text and not blocks and not args.get("attachments") and not may_be_empty:
        raise Refused("no_text")
    if blocks and not text:
        asked.violated("blocks come without a text for notifications and screen readers")
    return text, blocks


def checked_blocks(asked: Asked) -> list[Json]:
    """Raises Refused."""
    blocks: list[Json] = asked.args.get("blocks") or []
    if faults := block_faults(blocks, asked.team, "message"):
        raise Refused("invalid_blocks", response_metadata={"messages": [f"[ERROR] {fault}" for fault in faults]})
    if block_text_length(blocks) > BLOCKS_CHARACTERS:
        raise Refused("msg_blocks_too_long")
    return blocks


def fill(message: Message, asked: Asked, text: str, blocks: list[Json]) -> None:
    """Blocks that are not given are gone, as at Slack."""
    if "markdown_text" in asked.args:
        blocks = [{"type": "markdown", "text": text}]
    message.text, message.blocks = text, blocks
    message.attachments = asked.args.get("attachments") or []
    if metadata := asked.args.get("metadata"):
        if len(str(metadata).encode()) > METADATA_BYTES:
            raise Refused("metadata_too_large")
        message.metadata = metadata


def _files(asked: Asked) -> list[File] | None:
    """The files of `file_ids`, or None without that argument. Raises Refused."""
    ids = asked.args.get("file_ids")
    if ids is None:
        return None
    found = [asked.team.files.get(id_) for id_ in ids]
    if any(file is None or file.completed_at is None or not file.is_visible_to_bot() for file in found):
        raise Refused("file_not_found")
    if any(file and file.is_deleted for file in found):
        raise Refused("file_deleted")
    return [file for file in found if file]
