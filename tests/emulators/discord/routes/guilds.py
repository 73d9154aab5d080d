"""Guilds and their members."""

from tests.emulators.discord.calls import Answer, Call
from tests.emulators.discord.payloads import (
    channel_json,
    guild_json,
    member_json,
    role_json,
    thread_json_for,
    thread_member_json,
    user_json,
)
from tests.emulators.discord.refusals import UNKNOWN_MEMBER, UNKNOWN_USER, Refused


def get_guild(call: Call) -> Answer:
    return 200, guild_json(call.guild())


def list_my_guilds(call: Call) -> Answer:
    found = call.emulator.bot_guilds()
    return 200, [
        {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(guild.members[call.world.bot.id].permissions),
            "features": [],
        }
        for guild in found
    ]


def leave_guild(call: Call) -> Answer:
    call.emulator.kick_bot(call.guild())
    return 204, None


def list_channels(call: Call) -> Answer:
    return 200, [channel_json(channel) for channel in call.guild().channels]


def list_roles(call: Call) -> Answer:
    return 200, [role_json(role) for role in call.guild().roles]


def get_member(call: Call) -> Answer:
    member = call.guild().members.get(int(call.parameters["user_id"]))
    if member is None:
        raise Refused(UNKNOWN_MEMBER)
    return 200, member_json(member)


def list_members(call: Call) -> Answer:
    return 200, [member_json(member) for member in call.guild().members.values()]


def active_threads(call: Call) -> Answer:
    threads, bot = call.guild().active_threads, call.world.bot
    joined = [thread for thread in threads if bot in thread.thread_members]
    return 200, {
        "threads": [thread_json_for(thread, bot) for thread in threads],
        "members": [thread_member_json(thread, bot) for thread in joined],
        "has_more": False,
    }


def get_user(call: Call) -> Answer:
    user = call.world.users.get(int(call.parameters["user_id"]))
    if user is None:
        raise Refused(UNKNOWN_USER)
    return 200, user_json(user)


ROUTES = {
    "get_guild": get_guild,
    "list_my_guilds": list_my_guilds,
    "leave_guild": leave_guild,
    "list_guild_channels": list_channels,
    "list_guild_roles": list_roles,
    "get_guild_member": get_member,
    "list_guild_members": list_members,
    "get_active_guild_threads": active_threads,
    "get_user": get_user,
}
