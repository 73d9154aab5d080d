"""Routes of channels and threads: read, change, open, join, delete, and typing."""

from tests.emulators.discord.errors import (
    CANNOT_SEND_TO_USER,
    THREAD_ARCHIVED,
    THREAD_EXISTS,
    UNKNOWN_MEMBER,
    UNKNOWN_USER,
    WRONG_CHANNEL_TYPE,
    DiscordErrorResponse,
)
from tests.emulators.discord.payloads import channel_json, thread_json, thread_member_json
from tests.emulators.discord.request_context import DiscordRateLimitResponse, DiscordRequestContext, RouteResponse
from tests.emulators.discord.state import PRIVATE_THREAD, PUBLIC_THREAD, TEXT, DiscordChannelState
from tests.emulators.discord.threads import (
    add_member_to_thread,
    open_thread,
    open_thread_on_message,
    set_thread_archived,
)

ANNOUNCEMENTS = 5


def get_channel(context: DiscordRequestContext) -> RouteResponse:
    return 200, thread_json(context.get_channel(), context.state.bot)


def update_channel(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    is_own_thread = channel.is_thread and channel.owner is context.state.bot
    if not is_own_thread:
        context.require_permissions(channel, "manage_threads" if channel.is_thread else "manage_channels")
    wants_to_open = context.body.get("archived") is False
    if channel.is_thread and channel.archived and not wants_to_open and set(context.body) - {"locked"}:
        raise DiscordErrorResponse(THREAD_ARCHIVED)
    if context.body.get("name") not in (None, channel.name):
        _rename(context, channel)
    if channel.is_thread:
        archived = channel.archived if context.body.get("archived") is None else bool(context.body["archived"])
        set_thread_archived(context.state, channel, archived=archived, locked=context.body.get("locked"))
    else:
        channel.topic = context.body.get("topic", channel.topic)
        channel.age_restricted = bool(context.body.get("nsfw", channel.age_restricted))
        context.emulator.announce_channel("CHANNEL_UPDATE", channel)
    return 200, channel_json(channel)


def _rename(context: DiscordRequestContext, channel: DiscordChannelState) -> None:
    if wait := context.emulator.rate_limits.take_hidden("rename", context.parameters):
        raise DiscordRateLimitResponse(wait)
    channel.name = context.body["name"]


def delete_channel(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    context.require_permissions(channel, "manage_threads" if channel.is_thread else "manage_channels")
    context.emulator.delete_channel(channel)
    return 200, channel_json(channel)


def create_thread_from_message(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel("create_public_threads", "read_message_history")
    if channel.kind not in (TEXT, ANNOUNCEMENTS):
        raise DiscordErrorResponse(WRONG_CHANNEL_TYPE)
    message = context.get_message(channel)
    if message.thread is not None:
        raise DiscordErrorResponse(THREAD_EXISTS)
    minutes = context.body.get("auto_archive_duration") or 4320
    thread = open_thread_on_message(context.state, message, context.state.bot, context.body["name"], minutes)
    return 201, thread_json(thread, context.state.bot)


def create_thread(context: DiscordRequestContext) -> RouteResponse:
    kind = context.body.get("type") or PRIVATE_THREAD
    channel = context.get_channel("create_public_threads" if kind == PUBLIC_THREAD else "create_private_threads")
    if channel.kind not in (TEXT, ANNOUNCEMENTS):
        raise DiscordErrorResponse(WRONG_CHANNEL_TYPE)
    minutes = context.body.get("auto_archive_duration") or 4320
    thread = open_thread(context.state, channel, context.state.bot, context.body["name"], kind, minutes)
    return 201, thread_json(thread, context.state.bot)


def _get_thread(context: DiscordRequestContext) -> DiscordChannelState:
    thread = context.get_channel()
    if not thread.is_thread:
        raise DiscordErrorResponse(WRONG_CHANNEL_TYPE)
    return thread


def list_thread_members(context: DiscordRequestContext) -> RouteResponse:
    thread = _get_thread(context)
    return 200, [thread_member_json(thread, user) for user in thread.thread_members]


def get_thread_member(context: DiscordRequestContext) -> RouteResponse:
    thread = _get_thread(context)
    for user in thread.thread_members:
        if str(user.id) == context.parameters["user_id"]:
            return 200, thread_member_json(thread, user)
    raise DiscordErrorResponse(UNKNOWN_MEMBER)


def join_thread(context: DiscordRequestContext) -> RouteResponse:
    thread = _get_thread(context)
    if thread.archived:
        raise DiscordErrorResponse(THREAD_ARCHIVED)
    add_member_to_thread(context.state, thread, context.state.bot)
    return 204, None


def add_thread_member(context: DiscordRequestContext) -> RouteResponse:
    thread = _get_thread(context)
    if thread.archived:
        raise DiscordErrorResponse(THREAD_ARCHIVED)
    user = context.state.users.get(int(context.parameters["user_id"]))
    if user is None or thread.guild is None or user.id not in thread.guild.members:
        raise DiscordErrorResponse(UNKNOWN_MEMBER)
    add_member_to_thread(context.state, thread, user)
    return 204, None


def leave_thread(context: DiscordRequestContext) -> RouteResponse:
    thread = _get_thread(context)
    thread.thread_members = [user for user in thread.thread_members if user is not context.state.bot]
    return 204, None


def delete_thread_member(context: DiscordRequestContext) -> RouteResponse:
    thread = context.get_channel("manage_threads")
    thread.thread_members = [user for user in thread.thread_members if str(user.id) != context.parameters["user_id"]]
    return 204, None


def list_archived_threads(context: DiscordRequestContext) -> RouteResponse:
    found = [thread for thread in context.get_channel("read_message_history").threads if thread.archived]
    return 200, {"threads": [channel_json(thread) for thread in found], "members": [], "has_more": False}


def trigger_typing(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    context.require_permissions(channel, "send_messages_in_threads" if channel.is_thread else "send_messages")
    channel.typing_at.append(context.state.clock.now())
    context.state.changes.notify()
    return 204, None


def create_dm(context: DiscordRequestContext) -> RouteResponse:
    user = context.state.users.get(int(context.body.get("recipient_id") or 0))
    if user is None:
        raise DiscordErrorResponse(UNKNOWN_USER)
    if user is context.state.bot or user.bot:
        raise DiscordErrorResponse(CANNOT_SEND_TO_USER)
    return 200, channel_json(context.state.open_direct_channel(user))


ROUTES = {
    "get_channel": get_channel,
    "update_channel": update_channel,
    "delete_channel": delete_channel,
    "create_thread_from_message": create_thread_from_message,
    "create_thread": create_thread,
    "list_thread_members": list_thread_members,
    "get_thread_member": get_thread_member,
    "join_thread": join_thread,
    "leave_thread": leave_thread,
    "add_thread_member": add_thread_member,
    "delete_thread_member": delete_thread_member,
    "list_public_archived_threads": list_archived_threads,
    "trigger_typing_indicator": trigger_typing,
    "create_dm": create_dm,
}
