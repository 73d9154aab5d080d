"""chat.startStream, chat.appendStream and chat.stopStream."""

from tests.emulators.slack.blocks import validate_blocks
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.methods.agents import SESSION_STATUSES
from tests.emulators.slack.methods.chat import create_own_message, parse_blocks
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.state import SlackChannelState
from tests.emulators.slack.streams import SlackStreamState


@method("chat.startStream")
async def start_stream(context: SlackRequestContext) -> Json:
    channel = context.get_writable_channel()
    _check_recipient(context)
    thread_ts = _resolve_thread(context, channel)
    slack = context.slack
    message = create_own_message(context, channel, thread_ts)
    life = slack.options.lifetimes.stream_seconds
    stream = SlackStreamState(slack.clock, life, slack.clock.now(), context.args["recipient_user_id"])
    _append(context, stream)
    message.stream = stream
    channel.add_message(message)
    context.team.clear_status(channel.id, thread_ts)
    context.team.get_session(channel.id, thread_ts or message.ts)["status"] = "processing"
    slack.event_sender.send_message_posted(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.appendStream")
async def append_stream(context: SlackRequestContext) -> Json:
    channel = context.get_writable_channel()
    message, stream = _get_own_stream(context, channel)
    _check_live(stream)
    if context.args.get("markdown_text") is None and not context.args.get("chunks"):
        raise SlackErrorResponse("no_text")
    _append(context, stream)
    message.record_version(context.slack.clock.now())
    return {"channel": channel.id, "ts": message.ts}


@method("chat.stopStream")
async def stop_stream(context: SlackRequestContext) -> Json:
    channel = context.get_writable_channel()
    message, stream = _get_own_stream(context, channel)
    _check_live(stream)
    status = context.args.get("session_status", "active")
    if status not in SESSION_STATUSES:
        raise SlackErrorResponse("invalid_arguments")
    blocks, before = parse_blocks(context), message.to_json()
    _append(context, stream)
    stream.end_reason = "stopped"
    message.text, message.blocks = stream.text, [*stream.blocks, *blocks]
    message.record_version(context.slack.clock.now())
    context.team.get_session(channel.id, message.thread_ts or message.ts)["status"] = status
    context.slack.event_sender.send_message_changed(message, before)
    return {"channel": channel.id, "ts": message.ts, "message": message.to_json()}


def _check_recipient(context: SlackRequestContext) -> None:
    """Raise `SlackErrorResponse` without both recipient arguments. In DMs, only practice shows the need."""
    for name in ("recipient_user_id", "recipient_team_id"):
        if not context.args.get(name):
            raise SlackErrorResponse(f"missing_{name}")
    context.get_person("recipient_user_id")
    if context.args["recipient_team_id"] != context.team.id:
        raise SlackErrorResponse("team_not_found")


def _resolve_thread(context: SlackRequestContext, channel: SlackChannelState) -> str | None:
    thread_ts = context.resolve_thread_ts(channel)
    if thread_ts is None and channel.type != "channel":
        raise SlackErrorResponse("channel_type_not_supported")  # only channels take a stream without a thread
    return thread_ts


def _get_own_stream(
    context: SlackRequestContext, channel: SlackChannelState
) -> tuple[SlackMessageState, SlackStreamState]:
    message = context.get_own_message(channel, "message_not_owned_by_app")
    if message.stream is None:
        raise SlackErrorResponse("message_not_in_streaming_state")
    return message, message.stream


def _check_live(stream: SlackStreamState) -> None:
    """Raise `SlackErrorResponse` unless live. A stream stopped by a person refuses even chat.stopStream."""
    if stream.end_reason == "stopped_by_user":
        raise SlackErrorResponse("stopped_by_user")
    if not stream.is_live:
        raise SlackErrorResponse("message_not_in_streaming_state")


def _append(context: SlackRequestContext, stream: SlackStreamState) -> None:
    chunks = context.args.get("chunks")
    for chunk in chunks or ():
        if isinstance(chunk, dict) and chunk.get("type") == "blocks":
            blocks = chunk.get("blocks", [])
            if violations := validate_blocks(blocks, context.team, "message"):
                messages = [f"[ERROR] {violation}" for violation in violations]
                raise SlackErrorResponse("invalid_blocks", response_metadata={"messages": messages})
    stream.append(context.args.get("markdown_text"), chunks)
