"""conversations: history, replies, members, opening and joining."""

from collections.abc import Callable

from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.state import SlackChannelState

_HISTORY = {"channel": "channels:history", "group": "groups:history", "im": "im:history"}
_READ = {"channel": "channels:read", "group": "groups:read", "im": "im:read"}


@method("conversations.history")
async def list_history(context: SlackRequestContext) -> Json:
    channel = _get_readable_channel(context)
    roots = [message for message in channel.messages if message.thread_ts in (None, message.ts)]
    return _paginate(context, list(reversed(_filter_by_time(context, roots))), 100, lambda message: message.to_json())


@method("conversations.replies")
async def list_replies(context: SlackRequestContext) -> Json:
    channel = _get_readable_channel(context)
    root = channel.find_root(str(context.args["ts"]))
    if root is None:
        raise SlackErrorResponse("thread_not_found")
    messages = [root, *_filter_by_time(context, channel.list_replies(root.ts))]
    return _paginate(context, messages, 1000, _render_reply)


@method("conversations.info")
async def get_conversation(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    context.require_any_scope(_READ[channel.type])
    return {"channel": channel.to_json()}


@method("conversations.list")
async def list_conversations(context: SlackRequestContext) -> Json:
    seen = [
        channel
        for channel in context.team.channels.values()
        if not channel.direct_user_id and (channel.has_bot or not channel.is_private)
    ]
    return {"channels": [channel.to_json() for channel in seen], "response_metadata": {"next_cursor": ""}}


@method("conversations.members")
async def list_members(context: SlackRequestContext) -> Json:
    return {"members": sorted(context.get_channel().members), "response_metadata": {"next_cursor": ""}}


@method("conversations.open")
async def open_conversation(context: SlackRequestContext) -> Json:
    users = [user for user in str(context.args.get("users") or "").split(",") if user]
    if "channel" in context.args:
        channel = context.get_channel()
    elif not users:
        raise SlackErrorResponse("users_list_not_supplied")
    elif len(users) > 1:
        raise SlackErrorResponse("too_many_users")  # this Slack has no group DMs
    elif users[0] not in context.team.people:
        raise SlackErrorResponse("user_not_found")
    else:
        channel = context.team.open_direct_channel(users[0])
    return {"channel": channel.to_json() if context.args.get("return_im") else {"id": channel.id}}


@method("conversations.join")
async def join_conversation(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    if channel.type != "channel":
        raise SlackErrorResponse("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackErrorResponse("is_archived")
    response: Json = {"warning": "already_in_channel"} if channel.has_bot else {}
    channel.invite_bot()
    return response | {"channel": channel.to_json()}


def _get_readable_channel(context: SlackRequestContext) -> SlackChannelState:
    channel = context.get_channel()
    context.require_any_scope(_HISTORY[channel.type])
    if not channel.has_bot:
        raise SlackErrorResponse("not_in_channel")
    return channel


def _filter_by_time(context: SlackRequestContext, messages: list[SlackMessageState]) -> list[SlackMessageState]:
    oldest, latest = float(context.args.get("oldest") or 0), float(context.args.get("latest") or "inf")
    if context.args.get("inclusive"):
        return [message for message in messages if oldest <= float(message.ts) <= latest]
    return [message for message in messages if oldest < float(message.ts) < latest]


def _paginate(
    context: SlackRequestContext,
    messages: list[SlackMessageState],
    most: int,
    render: Callable[[SlackMessageState], Json],
) -> Json:
    """Return `limit` messages from `cursor` on."""
    cursor = str(context.args.get("cursor") or "0")
    if not cursor.isdigit():
        raise SlackErrorResponse("invalid_cursor")
    start = int(cursor)
    end = start + int(context.args.get("limit") or most)
    has_more = end < len(messages)
    response: Json = {"messages": [render(message) for message in messages[start:end]], "has_more": has_more}
    return response | ({"response_metadata": {"next_cursor": str(end)}} if has_more else {})


def _render_reply(message: SlackMessageState) -> Json:
    """Return a reply, or the tombstone of a deleted root with remaining replies."""
    if not message.is_deleted:
        return message.to_json()
    tombstone = {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": True}
    return {**message.to_json(), **tombstone, "blocks": [], "files": []}
