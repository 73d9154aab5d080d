"""Channels, roles and people by their ids, as a message names them: links where the platform knows such links.

Discord and Slack show `<#id>` as the channel's name, whatever it is called meanwhile. A link pings nobody: platforms
send every message without mentions.
"""

_LINKS = ("discord", "slack")


def channel_named(platform: str, channel: str) -> str:
    """A channel: `<#123>`, or `#main` on a platform without such links."""
    return f"<#{channel}>" if platform in _LINKS else f"#{channel}"


def role_named(platform: str, role: str) -> str:
    """A role or user group."""
    if platform == "discord":
        return f"<@&{role}>"
    return f"<!subteam^{role}>" if platform == "slack" else f"@{role}"


def person_linked(platform: str, person: str) -> str:
    """Somebody whose name is not known; nothing on a platform without such links."""
    return f"<@{person}>" if platform in _LINKS else ""
