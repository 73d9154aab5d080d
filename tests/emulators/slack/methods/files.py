"""files: the three steps of an upload, and what became of a file."""

from tests.emulators.slack.files import File
from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.chat import checked_blocks, own_message
from tests.emulators.slack.methods.registry import Asked, method
from tests.emulators.slack.workspace import Channel

ALT_TEXT = 1000


@method("files.getUploadURLExternal")
async def get_upload_url(asked: Asked) -> Json:
    args, team = asked.args, asked.team
    if args["length"] <= 0 or not args["filename"]:
        raise Refused("missing_argument")
    alt_text = args.get("alt_txt") or ""
    if len(alt_text) > ALT_TEXT:
        raise Refused("alt_txt_too_large")
    file = File(team, asked.slack.ids.next("F"), args["filename"], args["length"], team.bot_user, alt_text)
    team.files[file.id] = file
    return {"upload_url": asked.slack.file_routes.upload_url(file), "file_id": file.id}


@method("files.completeUploadExternal")
async def complete_upload(asked: Asked) -> Json:
    places = [asked.args["channel_id"]] if asked.args.get("channel_id") else []
    places += [place for place in (asked.args.get("channels") or "").split(",") if place]
    channels = [_channel(asked, place) for place in places]
    threads = [asked.thread_ts(channel, must_be_there=False) for channel in channels]
    files = [_uploaded(asked, entry) for entry in asked.args["files"]]
    comment = asked.args.get("initial_comment") or ""
    blocks = [] if comment else checked_blocks(asked)
    for file, entry in zip(files, asked.args["files"], strict=True):
        file.title = entry.get("title") or file.name
        file.completed_at = asked.slack.clock.now()
    for channel, thread_ts in zip(channels, threads, strict=True):
        message = own_message(asked, channel, thread_ts)
        message.text, message.blocks, message.files = comment, blocks, files
        for file in files:
            file.share(message)
        channel.add(message)
        asked.team.clear_status(channel.id, thread_ts)
        asked.slack.events.message(message)
    return {"files": [file.as_json() for file in files]}


@method("files.info")
async def info(asked: Asked) -> Json:
    file = _file(asked)
    told = file.as_json() | {"shares": file.shares_as_json()}
    return {"file": told, "comments": [], "response_metadata": {"next_cursor": ""}}


@method("files.delete")
async def delete(asked: Asked) -> Json:
    file = _file(asked)
    if file.owner != asked.team.bot_user:
        raise Refused("cant_delete_file")
    asked.slack.delete_file(file)
    return {}


def _channel(asked: Asked, place: str) -> Channel:
    channel = asked.team.channels.get(place)
    if channel is None or (channel.is_private and not channel.has_bot):
        raise Refused("channel_not_found")
    if not channel.has_bot:
        raise Refused("not_in_channel")
    if channel.is_archived:
        raise Refused("posting_to_channel_denied")
    return channel


def _uploaded(asked: Asked, entry: Json) -> File:
    file = asked.team.files.get(str(entry.get("id")))
    if file is None or not file.is_uploaded or file.owner != asked.team.bot_user or file.completed_at is not None:
        raise Refused("file_not_found")
    return file


def _file(asked: Asked) -> File:
    file = asked.team.files.get(str(asked.args["file"]))
    if file is None or not file.is_visible_to_bot():
        raise Refused("file_not_found")
    if file.is_deleted:
        raise Refused("file_deleted")
    return file
