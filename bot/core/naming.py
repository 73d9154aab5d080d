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
class Manners:
    """A platform's ways. The defaults are those of one without links, such as the page."""

    channel: str = "#{}"
    role: str = "@{}"
    person: str = ""
    """Somebody whose name is not known; nothing where ids mean nothing to people."""
    option: str = "--{}"
    option_with_value: str = "--{} {}"
    id_shape: re.Pattern[str] | None = None
    """What ids look like, of whatever thing; None where names are all there is."""
    has_worldwide_people: bool = True
    """Whether somebody's id is theirs in every workspace."""
    everywhere: str = "everywhere on this page"
    """Where that id reaches, in words."""
    has_age_restricted_channels: bool = True

    @property
    def has_links(self) -> bool:
        return self.id_shape is not None


_MANNERS: Mapping[str, Manners] = {
    "discord": Manners(
        channel="<#{}>",
        role="<@&{}>",
        person="<@{}>",
        option="{}",
        option_with_value="{}:{}",
        id_shape=re.compile(r"\d{5,25}"),
        everywhere="on every Discord server",
    ),
    "slack": Manners(
        channel="<#{}>",
        role="<!subteam^{}>",
        person="<@{}>",
        id_shape=re.compile(r"[A-Z][A-Z0-9]{5,20}"),
        has_worldwide_people=False,
        everywhere="in this Slack workspace",
        has_age_restricted_channels=False,
    ),
}
_PLAIN = Manners()


def manners_of(platform: str) -> Manners:
    """A platform's ways; plain ones where it has none of its own."""
    return _MANNERS.get(platform, _PLAIN)


def is_an_id(platform: str, text: str) -> bool:
    """Whether a text is what the platform's ids look like; a name that was typed instead of picked is none."""
    shape = manners_of(platform).id_shape
    return shape is not None and shape.fullmatch(text) is not None


def channel_named(platform: str, channel: str) -> str:
    """A channel: `<#123>`, or `#main` on a platform without such links."""
    return manners_of(platform).channel.format(channel)


def role_named(platform: str, role: str) -> str:
    """A role or user group; the one that everybody has has no link."""
    return role if role == EVERYONE else manners_of(platform).role.format(role)


def option_named(platform: str, name: str, value: str = "") -> str:
    """An option as it is filled in there: `budget:5000` in Discord's own form, `--budget 5000` where it is typed."""
    ways = manners_of(platform)
    return ways.option_with_value.format(name, value) if value else ways.option.format(name)


def person_linked(platform: str, person: str) -> str:
    """Somebody whose name is not known; nothing on a platform without such links."""
    return manners_of(platform).person.format(person)
