"""How each platform writes channels, roles, people and options in a text, and what its ids look like.

Discord and Slack show `<#id>` as the channel's name, whatever it is called meanwhile. A link pings nobody: platforms
send every message without mentions. What differs between platforms stands in one table; nobody else asks which it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

EVERYONE: Final = "everyone"
"""A role that everybody has: on Discord also under the server's own id, as Discord itself has it."""


@dataclass(frozen=True, slots=True)
class PlatformSyntax:
    """A platform's ways. The defaults are those of one without links, such as the page."""

    channel_format: str = "#{}"
    role_format: str = "@{}"
    person_format: str = ""
    """Somebody whose name is not known; nothing where ids mean nothing to people."""
    option_format: str = "--{}"
    option_value_format: str = "--{} {}"
    id_pattern: re.Pattern[str] | None = None
    """What ids look like, of whatever thing; None where names are all there is."""
    has_global_user_ids: bool = True
    """Whether somebody's id is theirs in every workspace."""
    id_scope: str = "everywhere on this page"
    """Where that id reaches, in words."""
    has_age_restricted_channels: bool = True

    @property
    def has_links(self) -> bool:
        return self.id_pattern is not None


_SYNTAX: Mapping[str, PlatformSyntax] = {
    "discord": PlatformSyntax(
        channel_format="<#{}>",
        role_format="<@&{}>",
        person_format="<@{}>",
        option_format="{}",
        option_value_format="{}:{}",
        id_pattern=re.compile(r"\d{5,25}"),
        id_scope="on every Discord server",
    ),
    "slack": PlatformSyntax(
        channel_format="<#{}>",
        role_format="<!subteam^{}>",
        person_format="<@{}>",
        id_pattern=re.compile(r"[A-Z][A-Z0-9]{5,20}"),
        has_global_user_ids=False,
        id_scope="in this Slack workspace",
        has_age_restricted_channels=False,
    ),
}
_DEFAULT_SYNTAX = PlatformSyntax()


def get_platform_syntax(platform: str) -> PlatformSyntax:
    """A platform's ways; plain ones where it has none of its own."""
    return _SYNTAX.get(platform, _DEFAULT_SYNTAX)


def is_platform_id(platform: str, text: str) -> bool:
    """Whether a text is what the platform's ids look like; a name that was typed instead of picked is none."""
    shape = get_platform_syntax(platform).id_pattern
    return shape is not None and shape.fullmatch(text) is not None


def format_channel(platform: str, channel: str) -> str:
    """A channel: `<#123>`, or `#main` on a platform without such links."""
    return get_platform_syntax(platform).channel_format.format(channel)


def format_role(platform: str, role: str) -> str:
    """A role or user group; the one that everybody has has no link."""
    return role if role == EVERYONE else get_platform_syntax(platform).role_format.format(role)


def format_option(platform: str, name: str, value: str = "") -> str:
    """An option as it is filled in there: `budget:5000` in Discord's own form, `--budget 5000` where it is typed."""
    ways = get_platform_syntax(platform)
    return ways.option_value_format.format(name, value) if value else ways.option_format.format(name)


def format_person_link(platform: str, person: str) -> str:
    """Somebody whose name is not known; nothing on a platform without such links."""
    return get_platform_syntax(platform).person_format.format(person)
