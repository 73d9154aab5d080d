"""Permission bits and a member's permissions in a channel: discord.com/developers/docs/topics/permissions."""

from collections.abc import Iterable

PERMISSION_BITS = {
    "create_instant_invite": 1 << 0,
    "kick_members": 1 << 1,
    "ban_members": 1 << 2,
    "administrator": 1 << 3,
    "manage_channels": 1 << 4,
    "manage_guild": 1 << 5,
    "add_reactions": 1 << 6,
    "view_audit_log": 1 << 7,
    "view_channel": 1 << 10,
    "send_messages": 1 << 11,
    "manage_messages": 1 << 13,
    "embed_links": 1 << 14,
    "attach_files": 1 << 15,
    "read_message_history": 1 << 16,
    "mention_everyone": 1 << 17,
    "use_external_emojis": 1 << 18,
    "manage_roles": 1 << 28,
    "use_application_commands": 1 << 31,
    "manage_threads": 1 << 34,
    "create_public_threads": 1 << 35,
    "create_private_threads": 1 << 36,
    "send_messages_in_threads": 1 << 38,
    "moderate_members": 1 << 40,
    "send_voice_messages": 1 << 46,
    "use_external_apps": 1 << 50,
}
ALL_PERMISSIONS = (1 << 53) - 1
DEFAULT_PERMISSIONS = (
    "create_instant_invite",
    "add_reactions",
    "view_channel",
    "send_messages",
    "embed_links",
    "attach_files",
    "read_message_history",
    "use_external_emojis",
    "use_application_commands",
    "create_public_threads",
    "create_private_threads",
    "send_messages_in_threads",
    "send_voice_messages",
    "use_external_apps",
)
"""Permissions of @everyone in a new guild."""


def parse_permissions(names: Iterable[str]) -> int:
    """Return the bits of names: `send_messages`, or Discord's spellings `SendMessages` and `SEND_MESSAGES`."""
    total = 0
    for name in names:
        total |= PERMISSION_BITS[_to_snake_case(name)]
    return total


def _to_snake_case(name: str) -> str:
    if name.isupper() or name.islower():
        return name.lower()
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def compute_permissions(roles: int, overwrites: Iterable[tuple[int, int]], *, owns_guild: bool = False) -> int:
    """Apply a channel's `(denied, allowed)` overwrites to the roles' bits, in Discord's order."""
    if owns_guild or roles & PERMISSION_BITS["administrator"]:
        return ALL_PERMISSIONS
    for denied, allowed in overwrites:
        roles = (roles & ~denied) | allowed
    return roles if roles & PERMISSION_BITS["view_channel"] else 0
