"""chat.startStream, appendStream and stopStream."""

from tests.emulators.slack.blocks import block_faults
from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.methods.agents import SESSION_STATUSES
from tests.emulators.slack.methods.chat import checked_blocks, own_message
from tests.emulators.slack.methods.registry import Asked, method
from tests.emulators.slack.streams import Stream
from tests.emulators.slack.workspace import Channel


@method("chat.startStream")
async def start_stream(asked: Asked) -> Json:
    channel = asked.channel_to_write()
    _check_recipient(asked)
    thread_ts = _thread(asked, channel)
    slack = asked.slack
    message = own_message(asked, channel, thread_ts)
    life = slack.options.lifetimes.stream
    stream = Stream(slack.clock, life, slack.clock.now(), asked.args["recipient_user_id"])
    _take(asked, stream)
    message.stream = stream
    channel.add(message)
    asked.team.clear_status(channel.id, thread_ts)
    asked.team.session(channel.id, thread_ts or message.ts)["status"] = "processing"
    slack.events.message(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.appendStream")
async def append_stream(asked: Asked) -> Json:
    channel = asked.channel_to_write()
    message, stream = _own_stream(asked, channel)
    _check_live(stream)
    if asked.args.get("markdown_text") is None and not asked.args.get("chunks"):
        raise Refused("no_text")
    _take(asked, stream)
    message.keep(asked.slack.clock.now())
    return {"channel": channel.id, "ts": message.ts}


@method("chat.stopStream")
async def stop_stream(asked: Asked) -> Json:
    channel = asked.channel_to_write()
    message, stream = _own_stream(asked, channel)
    _check_live(stream)
    status = asked.args.get("session_status", "active")
    if status not in SESSION_STATUSES:
        raise Refused("invalid_arguments")
    blocks, before = checked_blocks(asked), message.as_json()
    _take(asked, stream)
    stream.ended = "stopped"
    message.text, message.blocks = stream.text, [*stream.blocks, *blocks]
    message.keep(asked.slack.clock.now())
    asked.team.session(channel.id, message.thread_ts or message.ts)["status"] = status
    asked.slack.events.changed(message, before)
    return {"channel": channel.id, "ts": message.ts, "message": message.as_json()}


def _check_recipient(asked: Asked) -> None:
    """Both are wanted everywhere: in channels by the documentation, in DMs by experience. Raises Refused."""
    for name in ("recipient_user_id", "recipient_team_id"):
        if not asked.args.get(name):
            raise Refused(f"missing_{name}")
    asked.person("recipient_user_id")
    if asked.args["recipient_team_id"] != asked.team.id:
        raise Refused("team_not_found")


def _thread(asked: Asked, channel: Channel) -> str | None:
    thread_ts = asked.thread_ts(channel)
    if thread_ts is None and channel.type != "channel":
        raise Refused("channel_type_not_supported")  # a stream of its own is for channels only
    return thread_ts


def _own_stream(asked: Asked, channel: Channel) -> tuple[Message, Stream]:
    message = asked.own_message(channel, "message_not_owned_by_app")
    if message.stream is None:
        raise Refused("message_not_in_streaming_state")
    return message, message.stream


def _check_live(stream: Stream) -> None:
    """Raises Refused. What a person stopped takes nothing any more, not even the app's own stop."""
    if stream.ended == "stopped_by_user":
        raise Refused("stopped_by_user")
    if not stream.is_live:
        raise Refused("message_not_in_streaming_state")


def _take(asked: Asked, stream: Stream) -> None:
    chunks = asked.args.get("chunks")
    for chunk in chunks or ():
        if isinstance(chunk, dict) and chunk.get("type") == "blocks":
            blocks = chunk.get("blocks", [])
            if faults := block_faults(blocks, asked.team, "message"):
                messages = [f"[ERROR] {fault}" for fault in faults]
                raise Refused("invalid_blocks", response_metadata={"messages": messages})
    stream.take(asked.args.get("markdown_text"), chunks)
