"""What the bot needs in a server, what it lacks there, and the link that invites it with no more than that."""

import discord

REQUIRED_PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
_ONLY_IN_THREADS = {"send_messages_in_threads"}
_NOT_IN_THREADS = {"send_messages", "create_public_threads"}
_OPTIONAL = {"create_public_threads"}
"""Without these it works all the same, in another way."""

_IMPLIED = {
    "view_channel": {name for name, _ in REQUIRED_PERMISSIONS} - {"view_channel"},
    "send_messages": {"embed_links", "attach_files"},
    "send_messages_in_threads": {"embed_links", "attach_files"},
}
"""What Discord takes away together with a permission, and gives back with it."""

_NAMES = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "create_public_threads": "Create Public Threads",
    "embed_links": "Embed Links",
    "attach_files": "Attach Files",
    "read_message_history": "Read Message History",
}


def build_invite_link(application_id: int) -> str:
    """The address that invites the bot to a server, with the permissions it needs."""
    return discord.utils.oauth_url(
        application_id, permissions=REQUIRED_PERMISSIONS, scopes=("bot", "applications.commands")
    )


def find_missing_permissions(
    has: discord.Permissions, *, is_thread: bool = False, include_optional: bool = False
) -> list[str]:
    """The permissions that are lacking, by the names that Discord shows."""
    leave_out = (_NOT_IN_THREADS if is_thread else _ONLY_IN_THREADS) | (set() if include_optional else _OPTIONAL)
    names = [name for name, is_needed in REQUIRED_PERMISSIONS if is_needed and name not in leave_out]
    lacking = [name for name in names if not getattr(has, name)]
    implied = next((others for name, others in _IMPLIED.items() if name in lacking), set())
    return [_NAMES[name] for name in lacking if name not in implied]


def explain_missing_permissions(client: discord.Client, place: int) -> str:
    """One sentence on why nothing can be posted in a channel or thread, as far as can be known."""
    channel = client.get_channel(place)
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return "I cannot post there: I am not in that channel, or it is gone."
    where = f"#{channel.name}"
    me = channel.guild.me
    lacks = (
        find_missing_permissions(channel.permissions_for(me), is_thread=isinstance(channel, discord.Thread))
        if me
        else []
    )
    if not lacks:
        return f"Discord does not let me post in {where}."
    return f"I need the permission {', '.join(lacks)} in {where}."
