"""Routes of guilds and members."""

from tests.emulators.discord.errors import UNKNOWN_MEMBER, UNKNOWN_USER, DiscordErrorResponse
from tests.emulators.discord.payloads import (
    channel_json,
    guild_json,
    member_json,
    role_json,
    thread_json,
    thread_member_json,
    user_json,
)
from tests.emulators.discord.request_context import DiscordRequestContext, RouteResponse


def get_guild(context: DiscordRequestContext) -> RouteResponse:
    return 200, guild_json(context.get_guild())


def list_my_guilds(context: DiscordRequestContext) -> RouteResponse:
    found = context.emulator.list_bot_guilds()
    return 200, [
        {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(guild.members[context.state.bot.id].permissions),
            "features": [],
        }
        for guild in found
    ]


def leave_guild(context: DiscordRequestContext) -> RouteResponse:
    context.emulator.kick_bot(context.get_guild())
    return 204, None


def list_channels(context: DiscordRequestContext) -> RouteResponse:
    return 200, [channel_json(channel) for channel in context.get_guild().channels]


def list_roles(context: DiscordRequestContext) -> RouteResponse:
    return 200, [role_json(role) for role in context.get_guild().roles]


def get_member(context: DiscordRequestContext) -> RouteResponse:
    member = context.get_guild().members.get(int(context.parameters["user_id"]))
    if member is None:
        raise DiscordErrorResponse(UNKNOWN_MEMBER)
    return 200, member_json(member)


def list_members(context: DiscordRequestContext) -> RouteResponse:
    return 200, [member_json(member) for member in context.get_guild().members.values()]


def list_active_threads(context: DiscordRequestContext) -> RouteResponse:
    threads, bot = context.get_guild().active_threads, context.state.bot
    joined = [thread for thread in threads if bot in thread.thread_members]
    return 200, {
        "threads": [thread_json(thread, bot) for thread in threads],
        "members": [thread_member_json(thread, bot) for thread in joined],
        "has_more": False,
    }


def get_user(context: DiscordRequestContext) -> RouteResponse:
    user = context.state.users.get(int(context.parameters["user_id"]))
    if user is None:
        raise DiscordErrorResponse(UNKNOWN_USER)
    return 200, user_json(user)


ROUTES = {
    "get_guild": get_guild,
    "list_my_guilds": list_my_guilds,
    "leave_guild": leave_guild,
    "list_guild_channels": list_channels,
    "list_guild_roles": list_roles,
    "get_guild_member": get_member,
    "list_guild_members": list_members,
    "get_active_guild_threads": list_active_threads,
    "get_user": get_user,
}
