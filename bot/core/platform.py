"""The trunk's view of chat platforms: the protocols, and the syntax of each for links, options and ids.

`Platform` posts and edits messages, `PlatformConnection` receives events. Discord and Slack show `<#id>` as the
channel's current name. Links ping no users: the platforms send every message without mentions. All differences between
platforms in a text stand in one table, so no other code branches on the platform.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply

if TYPE_CHECKING:
    from aiohttp.web import RouteDef


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """The capacity of one message, in UTF-8 bytes if `is_length_in_bytes`, else in code points."""

    max_length: int
    is_length_in_bytes: bool = False
    is_append_only: bool = False
    """The platform appends to a growing message and cannot remove text: an open code fence stays open."""
    has_spoilers: bool = False
    """The platform hides words between `||`, and quotes the rest of a message after `>>> `."""
    shows_previews: bool = False
    """The platform can afford to replace an unfinished picture in a message every second."""
    voice_mime: str = ""
    """The type of recordings that the platform posts as voice messages, which nobody edits; empty for none."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The place of a job's message. On platforms that support nonces, two posts with one `nonce` make one message."""

    user: User
    channel: Channel
    request_key: str
    nonce: str
    is_private: bool = False
    previous_part: MessageRef | None = None
    """The previous part of a reply that spans several messages."""
    placeholder: MessageRef | None = None
    """An existing message that becomes the reply, such as the message of a deferred interaction."""
    is_streamed: bool = False
    """Whether text will stream into the message: some platforms have a special form for streamed messages."""


def format_nonce(job: str, part: int) -> str:
    """Return the nonce of a part of a job's message: the same in each process, so a part posted twice appears once."""
    return f"{job}:{part}"


def parse_job(nonce: str) -> str:
    """Return the job of a nonce, as `format_nonce` wrote the job."""
    return nonce.rpartition(":")[0]


class Pacer(Protocol):
    """Paces the edits of one message. Messages in one rate limit bucket share the bucket fairly."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until the platform's rate limit permits an edit. A final edit waits least."""
        ...

    def close(self) -> None:
        """Give the message's share of the bucket back: no edit follows."""
        ...


class Platform(Protocol):
    """Posts and edits messages. Each platform turns the errors of its SDK into errors of the bot."""

    @property
    def name(self) -> str:
        """Return `web`, `console`, `discord` or `slack`."""
        ...

    @property
    def limits(self) -> MessageLimits: ...

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message, or turn `destination.placeholder` into the message; return the permanent address.

        Raise `MessageLost` if the destination accepts no message any more.
        """
        ...

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Replace the content; idempotent. Return the new address if the platform had to post a replacement message.

        Raise `MessageLost` if the message is unreachable, `MessageFull` if the content exceeds the message's capacity.
        """
        ...

    async def delete(self, message: MessageRef) -> None:
        """Delete the message for all users; later edits raise `MessageLost`. Harmless for a message already deleted."""
        ...

    def pacer(self, message: MessageRef) -> Pacer:
        """Return the pacer of edits to this message."""
        ...

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return the channel of direct messages to a user, or None without such a channel."""
        ...

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return whether a channel is the direct messages of one person. Return true while the platform does not tell.

        A person's conversations on the page are no direct messages: the page has no other channels.
        """
        ...

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return whether only the members of the channel's thread see the thread, not all readers of the channel.

        Return true also while the platform does not tell.
        """
        ...


class PlatformConnection(Protocol):
    """The connection to an external platform such as Discord or Slack.

    Calls come in the order `open`, `listen`, `stop_listening`, `close`; the last two also after an earlier call failed.
    """

    @property
    def platform(self) -> Platform: ...

    async def open(self) -> None:
        """Sign in, so that messages can be posted. Raise a `UserError` with the owner's next step if sign-in fails."""
        ...

    async def listen(self) -> None:
        """Start to receive events."""
        ...

    async def stop_listening(self) -> None:
        """Stop receiving events; return once all received events are accepted or answered."""
        ...

    async def close(self) -> None:
        """Sign out."""
        ...

    def routes(self) -> "Sequence[RouteDef]":
        """Return the platform's HTTP routes for the bot's server."""
        ...

    def check(self) -> None:
        """Raise `Unavailable` while the platform delivers no events."""
        ...


class MessageLost(Exception):
    """The message, its channel or its token is gone. The content stays with the job."""


class MessageFull(Exception):
    """The message takes no more text: the rest belongs into another message.

    `room` is the total capacity in the unit of `MessageLimits`. Without `room`, the message keeps its text and the
    remainder up to the next good place for a cut.
    """

    def __init__(self, room: int | None = None) -> None:
        super().__init__()
        self.room = room


# Syntax.

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
