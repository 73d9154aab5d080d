"""Channels and threads: reading, changing, opening, joining, deleting, and showing that one types."""

from tests.emulators.discord.calls import Answer, Call, Limited
from tests.emulators.discord.payloads import channel_json, thread_json_for, thread_member_json
from tests.emulators.discord.refusals import (
    CANNOT_SEND_TO_USER,
    THREAD_ARCHIVED,
    THREAD_EXISTS,
    UNKNOWN_MEMBER,
    UNKNOWN_USER,
    WRONG_CHANNEL_TYPE,
    Refused,
)
from tests.emulators.discord.threads import archive, join, open_thread, open_thread_on
from tests.emulators.discord.world import PRIVATE_THREAD, PUBLIC_THREAD, TEXT, Channel

ANNOUNCEMENTS = 5


def get_channel(call: Call) -> Answer:
    return 200, thread_json_for(call.channel(), call.world.bot)


def update_channel(call: Call) -> Answer:
    channel = call.channel()
    is_own_thread = channel.is_thread and channel.owner is call.world.bot
    if not is_own_thread:
        call.need(channel, "manage_threads" if channel.is_thread else "manage_channels")
    wants_to_open = call.body.get("archived") is False
    if channel.is_thread and channel.archived and not wants_to_open and set(call.body) - {"locked"}:
        raise Refused(THREAD_ARCHIVED)
    if call.body.get("name") not in (None, channel.name):
        _rename(call, channel)
    if channel.is_thread:
        archived = channel.archived if call.body.get("archived") is None else bool(call.body["archived"])
        archive(call.world, channel, archived=archived, locked=call.body.get("locked"))
    else:
        channel.topic = call.body.get("topic", channel.topic)
        channel.age_restricted = bool(call.body.get("nsfw", channel.age_restricted))
        call.world.announce_channel("CHANNEL_UPDATE", channel)
    return 200, channel_json(channel)


def _rename(call: Call, channel: Channel) -> None:
    if wait := call.emulator.rate_limits.take_hidden("rename", call.parameters):
        raise Limited(wait)
    channel.name = call.body["name"]


def delete_channel(call: Call) -> Answer:
    channel = call.channel()
    call.need(channel, "manage_threads" if channel.is_thread else "manage_channels")
    call.emulator.delete_channel(channel)
    return 200, channel_json(channel)


def create_thread_from_message(call: Call) -> Answer:
    channel = call.channel("create_public_threads", "read_message_history")
    if channel.kind not in (TEXT, ANNOUNCEMENTS):
        raise Refused(WRONG_CHANNEL_TYPE)
    message = call.message(channel)
    if message.thread is not None:
        raise Refused(THREAD_EXISTS)
    minutes = call.body.get("auto_archive_duration") or 4320
    thread = open_thread_on(call.world, message, call.world.bot, call.body["name"], minutes)
    return 201, thread_json_for(thread, call.world.bot)


def create_thread(call: Call) -> Answer:
    kind = call.body.get("type") or PRIVATE_THREAD
    channel = call.channel("create_public_threads" if kind == PUBLIC_THREAD else "create_private_threads")
    if channel.kind not in (TEXT, ANNOUNCEMENTS):
        raise Refused(WRONG_CHANNEL_TYPE)
    minutes = call.body.get("auto_archive_duration") or 4320
    thread = open_thread(call.world, channel, call.world.bot, call.body["name"], kind, minutes)
    return 201, thread_json_for(thread, call.world.bot)


def _thread(call: Call) -> Channel:
    thread = call.channel()
    if not thread.is_thread:
        raise Refused(WRONG_CHANNEL_TYPE)
    return thread


def list_thread_members(call: Call) -> Answer:
    thread = _thread(call)
    return 200, [thread_member_json(thread, user) for user in thread.thread_members]


def get_thread_member(call: Call) -> Answer:
    thread = _thread(call)
    for user in thread.thread_members:
        if str(user.id) == call.parameters["user_id"]:
            return 200, thread_member_json(thread, user)
    raise Refused(UNKNOWN_MEMBER)


def join_thread(call: Call) -> Answer:
    thread = _thread(call)
    if thread.archived:
        raise Refused(THREAD_ARCHIVED)
    join(call.world, thread, call.world.bot)
    return 204, None


def add_thread_member(call: Call) -> Answer:
    thread = _thread(call)
    if thread.archived:
        raise Refused(THREAD_ARCHIVED)
    user = call.world.users.get(int(call.parameters["user_id"]))
    if user is None or thread.guild is None or user.id not in thread.guild.members:
        raise Refused(UNKNOWN_MEMBER)
    join(call.world, thread, user)
    return 204, None


def leave_thread(call: Call) -> Answer:
    thread = _thread(call)
    thread.thread_members = [user for user in thread.thread_members if user is not call.world.bot]
    return 204, None


def delete_thread_member(call: Call) -> Answer:
    thread = call.channel("manage_threads")
    thread.thread_members = [user for user in thread.thread_members if str(user.id) != call.parameters["user_id"]]
    return 204, None


def archived_threads(call: Call) -> Answer:
    found = [thread for thread in call.channel("read_message_history").threads if thread.archived]
    return 200, {"threads": [channel_json(thread) for thread in found], "members": [], "has_more": False}


def trigger_typing(call: Call) -> Answer:
    channel = call.channel()
    call.need(channel, "send_messages_in_threads" if channel.is_thread else "send_messages")
    channel.typing_at.append(call.world.clock.now())
    call.world.changes.happened()
    return 204, None


def create_dm(call: Call) -> Answer:
    user = call.world.users.get(int(call.body.get("recipient_id") or 0))
    if user is None:
        raise Refused(UNKNOWN_USER)
    if user is call.world.bot or user.bot:
        raise Refused(CANNOT_SEND_TO_USER)
    return 200, channel_json(call.world.direct_channel(user))


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
    "list_public_archived_threads": archived_threads,
    "trigger_typing_indicator": trigger_typing,
    "create_dm": create_dm,
}
