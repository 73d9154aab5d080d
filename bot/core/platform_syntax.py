"""The syntax of each platform for channels, roles, users and options in a text, and the shape of its ids.

Discord and Slack show `<#id>` as the channel's current name. Links ping no users: the platforms send every message
without mentions. All differences between platforms stand in one table, so no other code branches on the platform.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

EVERYONE: Final = "everyone"
"""The role of all users. On Discord the server's own id means the same role, as in Discord's API."""


@dataclass(frozen=True, slots=True)
class PlatformSyntax:
    """The syntax of one platform. The defaults suit a platform without links, such as the web page."""

    channel_format: str = "#{}"
    role_format: str = "@{}"
    person_format: str = ""
    """The link to a user without a known name; empty where ids mean nothing to a reader."""
    option_format: str = "--{}"
    option_value_format: str = "--{} {}"
    id_pattern: re.Pattern[str] | None = None
    """The shape of all ids; None on a platform with names only."""
    has_global_user_ids: bool = True
    """Whether a user has one id in all workspaces."""
    id_scope: str = "everywhere on this page"
    """The reach of a user's id, as a phrase for the user."""
    has_age_restricted_channels: bool = True
    max_form_fields: int | None = None
    """The most fields of one form; a longer form has several steps. None for any number."""

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
        max_form_fields=5,
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
    """Return the syntax of a platform, or the plain default."""
    return _SYNTAX.get(platform, _DEFAULT_SYNTAX)


def is_platform_id(platform: str, text: str) -> bool:
    """Return whether a text has the shape of the platform's ids, unlike a name that a user typed."""
    pattern = get_platform_syntax(platform).id_pattern
    return pattern is not None and pattern.fullmatch(text) is not None


def format_channel(platform: str, channel: str) -> str:
    """Return a channel link: `<#123>`, or `#main` on a platform without links."""
    return get_platform_syntax(platform).channel_format.format(channel)


def format_role(platform: str, role: str) -> str:
    """Return a link to a role or user group. `everyone` has no link, so that the text pings no users."""
    return role if role == EVERYONE else get_platform_syntax(platform).role_format.format(role)


def format_option(platform: str, name: str, value: str = "") -> str:
    """Return an option as users enter options: `budget:5000` in Discord's form, `--budget 5000` in typed commands."""
    syntax = get_platform_syntax(platform)
    return syntax.option_value_format.format(name, value) if value else syntax.option_format.format(name)


def format_person_link(platform: str, person: str) -> str:
    """Return a link to a user without a known name; empty on a platform without links."""
    return get_platform_syntax(platform).person_format.format(person)
