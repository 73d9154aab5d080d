"""Finds the bot's missing permissions and builds the invite link for exactly the needed permissions."""

import discord

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
