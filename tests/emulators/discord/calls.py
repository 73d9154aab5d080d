"""One request on its way through the platform, and what a route answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.component_rules import shown_addresses
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.permissions import bits
from tests.emulators.discord.posting import Draft, Upload
from tests.emulators.discord.records import Records, Request
from tests.emulators.discord.refusals import (
    MISSING_ACCESS,
    MISSING_PERMISSIONS,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    Refused,
)
from tests.emulators.discord.world import Channel, Guild, Json, World

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator
    from tests.emulators.discord.messages import Message

Answer = tuple[int, Any]
"""A status and a JSON body; None for no body."""


class Limited(Exception):
    """A limit that only the route can see is used up."""

    def __init__(self, retry_after: float, *, code: int = 0, message: str = "You are being rate limited.") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.message = message


@dataclass
class Call:
    """`parameters` are those of the path; `body` is parsed JSON, without the files that came beside it."""

    emulator: "DiscordEmulator"
    request: Request
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    files: Mapping[int, Upload]

    @property
    def world(self) -> World:
        return self.emulator.world

    @property
    def records(self) -> Records:
        return self.emulator.records

    @property
    def draft(self) -> Draft:
        return Draft(self.body or {}, self.files)

    def channel(self, *needed: str) -> Channel:
        """The channel of the path, which the bot can see. Raises Refused when it may not do what is `needed`."""
        found = self.world.channels.get(self._id("channel_id"))
        if found is None or found.is_deleted or (found.guild and found.guild.is_gone):
            raise Refused(UNKNOWN_CHANNEL)
        self.need(found, *needed)
        return found

    def need(self, channel: Channel, *names: str) -> None:
        permissions = self.world.bot_permissions(channel)
        if not permissions & bits(["view_channel"]):
            raise Refused(MISSING_ACCESS)
        if channel.guild is not None and bits(names) & ~permissions:
            raise Refused(MISSING_PERMISSIONS)

    def message(self, channel: Channel) -> "Message":
        found = channel.message(self._id("message_id"))
        if found is None:
            raise Refused(UNKNOWN_MESSAGE)
        return found

    def guild(self) -> Guild:
        found = self.world.guilds.get(self._id("guild_id"))
        if found is None or found.is_gone:
            raise Refused(UNKNOWN_GUILD)
        if not found.has_bot:
            raise Refused(MISSING_ACCESS)
        return found

    def expect_allowed_mentions(self, fields: Mapping[str, Any]) -> None:
        """Words that a model wrote must not be able to ping."""
        if (fields.get("content") or fields.get("components")) and fields.get("allowed_mentions") is None:
            self.records.violation(self.request, "words are sent without allowed_mentions")

    def wrote(self, message: "Message") -> Json:
        """What the request made, as the answer shows it, once it was looked at for what helps nobody."""
        shown = shown_addresses(message.components)
        hidden = [one.filename for one in message.attachments if message.is_v2 and one.url not in shown]
        if hidden:
            self.records.violation(self.request, f"{', '.join(hidden)} is shown by no component")
        if len(message.versions) > 1 and message.versions[-1].shows_the_same_as(message.versions[-2]):
            self.emulator.useless_edits.append(self.request)
        return message_json(message)

    def _id(self, name: str) -> int:
        text = self.parameters[name]
        return int(text) if text.isdigit() else 0


Route = Callable[[Call], Answer]
