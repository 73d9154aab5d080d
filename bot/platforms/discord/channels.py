"""Translates Discord's channels and threads into `Channel`s, and finds the bot's missing permissions in a channel.

Requests are named by Discord's ids. The invite link asks for exactly the needed permissions.
"""

from typing import Any

import discord

from bot.core.people import Channel
from bot.core.replies import MessageRef

NAME = "discord"

# The workspace of users who installed the bot for themselves, in places that did not invite the bot.
USER_INSTALLS = "user-installs"

_MESSAGE_KEY_PREFIX = f"{NAME}:message:"


def is_direct(interaction: discord.Interaction) -> bool:
    """Whether the interaction came from the direct messages between a user and the bot."""
    return interaction.guild_id is None and interaction.context.dm_channel


def is_user_install(interaction: discord.Interaction) -> bool:
    """Whether only the user installed the bot, not the guild: there the bot can respond to interactions and no more."""
    return not (is_direct(interaction) or interaction.is_guild_integration())


def build_channel(channel: Any, workspace: str) -> Channel:
    """Return the `Channel` of discord.py's channel or thread. Threads inherit the age restriction of their channel."""
    if isinstance(channel, discord.Thread):
        return Channel(NAME, workspace, str(channel.parent_id), str(channel.id), channel.is_nsfw())
    is_restricted = bool(getattr(channel, "nsfw", False))
    return Channel(NAME, workspace, str(channel.id), is_age_restricted=is_restricted)


def get_discord_channel_id(where: Channel | MessageRef) -> int:
    """Return the id of the thread if there is a thread, else of the channel: Discord addresses both alike."""
    if isinstance(where, Channel):
        return int(where.thread if where.thread and not where.is_reply_chain else where.id)
    return int(where.thread or where.channel)


def build_request_key(interaction: discord.Interaction) -> str:
    """Return the request key of an interaction: an event that Discord repeats makes no second job."""
    return f"{NAME}:{interaction.id}"


def parse_interaction_id(key: str) -> int:
    """Return the id of the interaction behind a request key; 0 for other requests."""
    interaction_id = key.removeprefix(f"{NAME}:")
    return int(interaction_id) if interaction_id != key and interaction_id.isdecimal() else 0


def build_message_request_key(message_id: int) -> str:
    """Return the request key of a chat message."""
    return f"{_MESSAGE_KEY_PREFIX}{message_id}"


def parse_message_request_key(key: str) -> str:
    """Return the id of the chat message behind a request key; an empty text for other requests."""
    message_id = key.removeprefix(_MESSAGE_KEY_PREFIX)
    return message_id if message_id != key and message_id.isdecimal() else ""


# Permissions of the bot.

REQUIRED_PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
    send_voice_messages=True,
)
_ONLY_IN_THREADS = {"send_messages_in_threads"}
_NOT_IN_THREADS = {"send_messages", "create_public_threads"}
# Without threads a conversation continues by replies, and without voice messages a speech has a player.
_OPTIONAL = {"create_public_threads", "send_voice_messages"}

# Discord denies these together with the first permission, so the first permission alone is worth naming:
# discord.com/developers/docs/topics/permissions#implicit-permissions
_IMPLIED = {
    "view_channel": {name for name, _ in REQUIRED_PERMISSIONS} - {"view_channel"},
    "send_messages": {"embed_links", "attach_files", "send_voice_messages"},
    "send_messages_in_threads": {"embed_links", "attach_files", "send_voice_messages"},
}

# As Discord's settings show them.
_NAMES = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "create_public_threads": "Create Public Threads",
    "embed_links": "Embed Links",
    "attach_files": "Attach Files",
    "read_message_history": "Read Message History",
    "send_voice_messages": "Send Voice Messages",
}


def build_invite_link(application_id: int) -> str:
    """Return the address at which an administrator adds the bot to a server."""
    return discord.utils.oauth_url(
        application_id, permissions=REQUIRED_PERMISSIONS, scopes=("bot", "applications.commands")
    )


def find_missing_permissions(
    granted: discord.Permissions, *, is_thread: bool = False, include_optional: bool = False
) -> list[str]:
    """Return the missing permissions by the names in Discord's settings."""
    excluded = (_NOT_IN_THREADS if is_thread else _ONLY_IN_THREADS) | (set() if include_optional else _OPTIONAL)
    names = [name for name, is_needed in REQUIRED_PERMISSIONS if is_needed and name not in excluded]
    missing = [name for name in names if not getattr(granted, name)]
    implied = next((others for name, others in _IMPLIED.items() if name in missing), set())
    return [_NAMES[name] for name in missing if name not in implied]


def explain_missing_permissions(client: discord.Client, channel_id: int) -> str:
    """Return a sentence on why the bot cannot post in a channel or thread, from discord.py's cache."""
    channel = client.get_channel(channel_id)
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return "I cannot post there: I am not in that channel, or it is gone."
    name = f"#{channel.name}"
    is_thread = isinstance(channel, discord.Thread)
    me = channel.guild.me
    missing = find_missing_permissions(channel.permissions_for(me), is_thread=is_thread) if me else []
    if not missing:
        return f"Discord does not let me post in {name}."
    return f"I need the permission {', '.join(missing)} in {name}."


def can_open_thread(channel: object, permissions: discord.Permissions) -> bool:
    """Whether the bot may open a thread on a message of the channel and write in the thread."""
    is_open = permissions.create_public_threads and permissions.send_messages_in_threads
    return isinstance(channel, discord.TextChannel) and is_open
