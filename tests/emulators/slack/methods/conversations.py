"""conversations: what was said, who is there, and getting in."""

from collections.abc import Callable

from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.methods.registry import Asked, method
from tests.emulators.slack.workspace import Channel

_HISTORY = {"channel": "channels:history", "group": "groups:history", "im": "im:history"}
_READ = {"channel": "channels:read", "group": "groups:read", "im": "im:read"}


@method("conversations.history")
async def history(asked: Asked) -> Json:
    channel = _readable(asked)
    roots = [message for message in channel.messages if message.thread_ts in (None, message.ts)]
    return _page(asked, list(reversed(_in_time(asked, roots))), 100, lambda message: message.as_json())


@method("conversations.replies")
async def replies(asked: Asked) -> Json:
    channel = _readable(asked)
    root = channel.root(str(asked.args["ts"]))
    if root is None:
        raise Refused("thread_not_found")
    messages = [root, *_in_time(asked, channel.replies(root.ts))]
    return _page(asked, messages, 1000, _as_told)


@method("conversations.info")
async def info(asked: Asked) -> Json:
    channel = asked.channel()
    asked.need_any(_READ[channel.type])
    return {"channel": channel.as_json()}


@method("conversations.list")
async def list_conversations(asked: Asked) -> Json:
    seen = [
        channel
        for channel in asked.team.channels.values()
        if not channel.person and (channel.has_bot or not channel.is_private)
    ]
    return {"channels": [channel.as_json() for channel in seen], "response_metadata": {"next_cursor": ""}}


@method("conversations.members")
async def members(asked: Asked) -> Json:
    return {"members": sorted(asked.channel().members), "response_metadata": {"next_cursor": ""}}


@method("conversations.open")
async def open_conversation(asked: Asked) -> Json:
    users = [user for user in str(asked.args.get("users") or "").split(",") if user]
    if "channel" in asked.args:
        channel = asked.channel()
    elif not users:
        raise Refused("users_list_not_supplied")
    elif len(users) > 1:
        raise Refused("too_many_users")  # this Slack has no group DMs
    elif users[0] not in asked.team.people:
        raise Refused("user_not_found")
    else:
        channel = asked.team.dm(users[0])
    return {"channel": channel.as_json() if asked.args.get("return_im") else {"id": channel.id}}


@method("conversations.join")
async def join(asked: Asked) -> Json:
    channel = asked.channel()
    if channel.type != "channel":
        raise Refused("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise Refused("is_archived")
    told: Json = {"warning": "already_in_channel"} if channel.has_bot else {}
    channel.invite_bot()
    return told | {"channel": channel.as_json()}


def _readable(asked: Asked) -> Channel:
    channel = asked.channel()
    asked.need_any(_HISTORY[channel.type])
    if not channel.has_bot:
        raise Refused("not_in_channel")
    return channel


def _in_time(asked: Asked, messages: list[Message]) -> list[Message]:
    oldest, latest = float(asked.args.get("oldest") or 0), float(asked.args.get("latest") or "inf")
    if asked.args.get("inclusive"):
        return [message for message in messages if oldest <= float(message.ts) <= latest]
    return [message for message in messages if oldest < float(message.ts) < latest]


def _page(asked: Asked, messages: list[Message], most: int, tell: Callable[[Message], Json]) -> Json:
    """`limit` of them from `cursor` on."""
    cursor = str(asked.args.get("cursor") or "0")
    if not cursor.isdigit():
        raise Refused("invalid_cursor")
    begin = int(cursor)
    end = begin + int(asked.args.get("limit") or most)
    has_more = end < len(messages)
    told: Json = {"messages": [tell(message) for message in messages[begin:end]], "has_more": has_more}
    return told | ({"response_metadata": {"next_cursor": str(end)}} if has_more else {})


def _as_told(message: Message) -> Json:
    """A deleted root whose answers are still there is a tombstone."""
    if not message.is_deleted:
        return message.as_json()
    tombstone = {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": True}
    return {**message.as_json(), **tombstone, "blocks": [], "files": []}
