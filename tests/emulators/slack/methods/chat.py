"""chat: post, edit and delete messages, also ephemeral messages."""

from tests.emulators.slack.blocks import measure_block_text, validate_blocks
from tests.emulators.slack.files import SlackFileState
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.state import SlackChannelState

MAX_POST_CHARACTERS = 40_000
MAX_UPDATE_BYTES = 4_000
MAX_MARKDOWN_CHARACTERS = 12_000
MAX_BLOCKS_CHARACTERS = 13_200
MAX_METADATA_BYTES = 8_000


@method("chat.postMessage")
async def post_message(context: SlackRequestContext) -> Json:
    channel = _get_channel_to_post(context)
    thread_ts = context.resolve_thread_ts(channel, must_exist=False)
    text, blocks = parse_content(context)
    message = create_own_message(context, channel, thread_ts)
    fill_message(message, context, text[:MAX_POST_CHARACTERS], blocks)
    channel.add_message(message)
    context.team.clear_status(channel.id, thread_ts)
    context.slack.event_sender.send_message_posted(message)
    return {"channel": channel.id, "ts": message.ts, "message": message.to_json()}


@method("chat.postEphemeral")
async def post_ephemeral(context: SlackRequestContext) -> Json:
    channel = context.get_writable_channel()
    if context.args["user"] not in channel.members:
        raise SlackErrorResponse("user_not_in_channel")
    text, blocks = parse_content(context)
    message = create_own_message(context, channel, context.args.get("thread_ts"))
    message.visible_to_user_id = context.args["user"]
    fill_message(message, context, text, blocks)
    channel.add_message(message)
    return {"message_ts": message.ts}


@method("chat.update")
async def update_message(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    message = context.get_own_message(channel, "cant_update_message")
    if message.is_streaming:
        raise SlackErrorResponse("streaming_state_conflict")
    files = _find_files(context)
    text, blocks = parse_content(context, is_optional=files is not None)
    if len(text.encode()) > MAX_UPDATE_BYTES and "markdown_text" not in context.args:
        raise SlackErrorResponse("msg_too_long")
    before = message.to_json()
    if message.stream and not message.edited_at:
        message.text = message.stream.text
    if "text" in context.args or "markdown_text" in context.args or blocks:
        fill_message(message, context, text, blocks)
    if files is not None:
        message.files = files
        for file in files:
            file.share(message)
    message.edited_at = context.slack.clock.next_timestamp()
    message.record_version(context.slack.clock.now())
    context.slack.event_sender.send_message_changed(message, before)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.to_json()}


@method("chat.delete")
async def delete_message(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    message = context.get_own_message(channel, "cant_delete_message")
    context.slack.delete_message(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.getPermalink")
async def get_permalink(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    message = context.get_message(channel, "message_ts")
    address = f"https://{context.team.domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": address}


def _get_channel_to_post(context: SlackRequestContext) -> SlackChannelState:
    """Return the channel to post to: a person's id means the DM, and chat:write.public opens public channels."""
    if context.args["channel"] in context.team.people:
        return context.team.open_direct_channel(context.args["channel"])
    channel = context.get_channel()
    is_open = channel.type == "channel" and "chat:write.public" in context.team.scopes
    return channel if is_open and not channel.is_archived else context.get_writable_channel()


def create_own_message(
    context: SlackRequestContext, channel: SlackChannelState, thread_ts: str | None
) -> SlackMessageState:
    stamp = context.slack.clock.next_timestamp()
    return SlackMessageState(channel, stamp, context.team.bot_user_id, thread_ts=thread_ts, bot_id=context.team.bot_id)


def parse_content(context: SlackRequestContext, *, is_optional: bool = False) -> tuple[str, list[Json]]:
    """Return text and blocks within Slack's limits. Raise `SlackErrorResponse` if invalid."""
    args = context.args
    markdown, blocks = args.get("markdown_text"), parse_blocks(context)
    if markdown is not None and (args.get("text") or blocks):
        raise SlackErrorResponse("markdown_text_conflict")
    if markdown is not None and len(markdown) > MAX_MARKDOWN_CHARACTERS:
        raise SlackErrorResponse("msg_too_long")
    text = markdown if markdown is not None else args.get("text") or ""
    if not text and not blocks and not args.get("attachments") and not is_optional:
        raise SlackErrorResponse("no_text")
    if blocks and not text:
        context.record_violation("blocks come without a text for notifications and screen readers")
    return text, blocks


def parse_blocks(context: SlackRequestContext) -> list[Json]:
    """Return the blocks, or None without the argument. Raise `SlackErrorResponse` if invalid."""
    blocks: list[Json] = context.args.get("blocks") or []
    if violations := validate_blocks(blocks, context.team, "message"):
        raise SlackErrorResponse(
            "invalid_blocks", response_metadata={"messages": [f"[ERROR] {violation}" for violation in violations]}
        )
    if measure_block_text(blocks) > MAX_BLOCKS_CHARACTERS:
        raise SlackErrorResponse("msg_blocks_too_long")
    return blocks


def fill_message(message: SlackMessageState, context: SlackRequestContext, text: str, blocks: list[Json]) -> None:
    """Set a message's content. Missing blocks remove the earlier blocks, as at Slack."""
    if "markdown_text" in context.args:
        blocks = [{"type": "markdown", "text": text}]
    message.text, message.blocks = text, blocks
    message.attachments = context.args.get("attachments") or []
    if metadata := context.args.get("metadata"):
        if len(str(metadata).encode()) > MAX_METADATA_BYTES:
            raise SlackErrorResponse("metadata_too_large")
        message.metadata = metadata


def _find_files(context: SlackRequestContext) -> list[SlackFileState] | None:
    """Return the files of `file_ids`, or None without the argument. Raise `SlackErrorResponse` for an unknown file."""
    ids = context.args.get("file_ids")
    if ids is None:
        return None
    found = [context.team.files.get(id_) for id_ in ids]
    if any(file is None or file.completed_at is None or not file.is_visible_to_bot() for file in found):
        raise SlackErrorResponse("file_not_found")
    if any(file and file.is_deleted for file in found):
        raise SlackErrorResponse("file_deleted")
    return [file for file in found if file]
