"""How a message names channels, roles and people by their ids, and options: as the platform writes them.

Discord and Slack show `<#id>` as the channel's name, whatever it is called meanwhile. A link pings nobody: platforms
send every message without mentions.
"""

import re
from typing import Final

LINKS = ("discord", "slack")
"""Platforms that have such links."""

EVERYONE: Final = "everyone"
"""A role that everybody has: on Discord also under the server's own id, as Discord itself has it."""

_IDS = {"discord": re.compile(r"\d{5,25}"), "slack": re.compile(r"[A-Z][A-Z0-9]{5,20}")}


def is_an_id(platform: str, text: str) -> bool:
    """Whether a text is what the platform's ids look like; a name that was typed instead of picked is none."""
    return platform in _IDS and _IDS[platform].fullmatch(text) is not None


def channel_named(platform: str, channel: str) -> str:
    """A channel: `<#123>`, or `#main` on a platform without such links."""
    return f"<#{channel}>" if platform in LINKS else f"#{channel}"


def role_named(platform: str, role: str) -> str:
    """A role or user group; the one that everybody has has no link."""
    if role == EVERYONE:
        return role
    if platform == "discord":
        return f"<@&{role}>"
    return f"<!subteam^{role}>" if platform == "slack" else f"@{role}"


def option_named(platform: str, name: str, value: str = "") -> str:
    """An option as it is filled in there: `budget:5000` in Discord's own form, `--budget 5000` where it is typed."""
    if platform == "discord":
        return f"{name}:{value}" if value else name
    return f"--{name} {value}".rstrip()


def person_linked(platform: str, person: str) -> str:
    """Somebody whose name is not known; nothing on a platform without such links."""
    return f"<@{person}>" if platform in LINKS else ""
