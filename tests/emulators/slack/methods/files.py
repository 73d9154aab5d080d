"""files: the three steps of an upload, and a file's information."""

from tests.emulators.slack.files import SlackFileState
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.chat import create_own_message, parse_blocks
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.state import SlackChannelState

MAX_ALT_TEXT_LENGTH = 1000


@method("files.getUploadURLExternal")
async def get_upload_url(context: SlackRequestContext) -> Json:
    args, team = context.args, context.team
    if args["length"] <= 0 or not args["filename"]:
        raise SlackErrorResponse("missing_argument")
    alt_text = args.get("alt_txt") or ""
    if len(alt_text) > MAX_ALT_TEXT_LENGTH:
        raise SlackErrorResponse("alt_txt_too_large")
    file = SlackFileState(
        team, context.slack.ids.next("F"), args["filename"], args["length"], team.bot_user_id, alt_text
    )
    team.files[file.id] = file
    return {"upload_url": context.slack.file_server.issue_upload_url(file), "file_id": file.id}


@method("files.completeUploadExternal")
async def complete_upload(context: SlackRequestContext) -> Json:
    channel_ids = [context.args["channel_id"]] if context.args.get("channel_id") else []
    channel_ids += [channel_id for channel_id in (context.args.get("channels") or "").split(",") if channel_id]
    channels = [_get_channel(context, channel_id) for channel_id in channel_ids]
    threads = [context.resolve_thread_ts(channel, must_exist=False) for channel in channels]
    files = [_get_uploaded_file(context, entry) for entry in context.args["files"]]
    comment = context.args.get("initial_comment") or ""
    blocks = [] if comment else parse_blocks(context)
    for file, entry in zip(files, context.args["files"], strict=True):
        file.title = entry.get("title") or file.name
        file.completed_at = context.slack.clock.now()
    for channel, thread_ts in zip(channels, threads, strict=True):
        message = create_own_message(context, channel, thread_ts)
        message.text, message.blocks, message.files = comment, blocks, files
        for file in files:
            file.share(message)
        channel.add_message(message)
        context.team.clear_status(channel.id, thread_ts)
        context.slack.event_sender.send_message_posted(message)
    return {"files": [file.to_json() for file in files]}


@method("files.info")
async def get_file(context: SlackRequestContext) -> Json:
    file = _get_file(context)
    payload = file.to_json() | {"shares": file.shares_to_json()}
    return {"file": payload, "comments": [], "response_metadata": {"next_cursor": ""}}


@method("canvases.getContent")
async def get_canvas(context: SlackRequestContext) -> Json:
    file = context.team.files.get(context.args["canvas_id"])
    if file is None or not file.is_canvas or file.is_deleted or not file.is_visible_to_bot():
        raise SlackErrorResponse("canvas_not_found")
    return {"content": file.content.decode()}


@method("files.delete")
async def delete_file(context: SlackRequestContext) -> Json:
    file = _get_file(context)
    if file.owner_id != context.team.bot_user_id:
        raise SlackErrorResponse("cant_delete_file")
    context.slack.delete_file(file)
    return {}


def _get_channel(context: SlackRequestContext, channel_id: str) -> SlackChannelState:
    channel = context.team.channels.get(channel_id)
    if channel is None or (channel.is_private and not channel.has_bot):
        raise SlackErrorResponse("channel_not_found")
    if not channel.has_bot:
        raise SlackErrorResponse("not_in_channel")
    if channel.is_archived:
        raise SlackErrorResponse("posting_to_channel_denied")
    return channel


def _get_uploaded_file(context: SlackRequestContext, entry: Json) -> SlackFileState:
    file = context.team.files.get(str(entry.get("id")))
    if (
        file is None
        or not file.is_uploaded
        or file.owner_id != context.team.bot_user_id
        or file.completed_at is not None
    ):
        raise SlackErrorResponse("file_not_found")
    return file


def _get_file(context: SlackRequestContext) -> SlackFileState:
    file = context.team.files.get(str(context.args["file"]))
    if file is None or not file.is_visible_to_bot():
        raise SlackErrorResponse("file_not_found")
    if file.is_deleted:
        raise SlackErrorResponse("file_deleted")
    return file
