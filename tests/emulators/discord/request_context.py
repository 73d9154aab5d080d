"""The context of a request: parameters, body and files, with the checks that routes share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.components import list_shown_urls
from tests.emulators.discord.errors import (
    MISSING_ACCESS,
    MISSING_PERMISSIONS,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    DiscordErrorResponse,
)
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.permissions import parse_permissions
from tests.emulators.discord.posting import DiscordMessageDraft
from tests.emulators.discord.request_log import DiscordRequestLog, DiscordRequestRecord
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState, DiscordState, Json

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator
    from tests.emulators.discord.messages import DiscordMessageState


RouteResponse = tuple[int, Any]
"""A status and a JSON body; None for no body."""


class DiscordRateLimitResponse(Exception):
    """A rate limit that only the route can evaluate is used up."""

    def __init__(self, retry_after: float, *, code: int = 0, message: str = "You are being rate limited.") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.message = message


@dataclass
class DiscordRequestContext:
    """`parameters` come from the path; `body` is the parsed JSON without the files."""

    emulator: "DiscordEmulator"
    request: DiscordRequestRecord
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    files: Mapping[int, DiscordFileUpload]

    @property
    def state(self) -> DiscordState:
        return self.emulator.state

    @property
    def request_log(self) -> DiscordRequestLog:
        return self.emulator.request_log

    @property
    def draft(self) -> DiscordMessageDraft:
        return DiscordMessageDraft(self.body or {}, self.files)

    def get_channel(self, *permissions: str) -> DiscordChannelState:
        """Return the channel of the path. Raise `DiscordErrorResponse` if invisible or without `permissions`."""
        found = self.state.channels.get(self._id("channel_id"))
        if found is None or found.is_deleted or (found.guild and found.guild.is_gone):
            raise DiscordErrorResponse(UNKNOWN_CHANNEL)
        self.require_permissions(found, *permissions)
        return found

    def require_permissions(self, channel: DiscordChannelState, *names: str) -> None:
        permissions = self.state.compute_bot_permissions(channel)
        if not permissions & parse_permissions(["view_channel"]):
            raise DiscordErrorResponse(MISSING_ACCESS)
        if channel.guild is not None and parse_permissions(names) & ~permissions:
            raise DiscordErrorResponse(MISSING_PERMISSIONS)

    def has_permission(self, channel: DiscordChannelState, name: str) -> bool:
        return channel.guild is None or bool(parse_permissions([name]) & self.state.compute_bot_permissions(channel))

    def get_message(self, channel: DiscordChannelState) -> "DiscordMessageState":
        found = channel.find_message(self._id("message_id"))
        if found is None:
            raise DiscordErrorResponse(UNKNOWN_MESSAGE)
        return found

    def get_guild(self) -> DiscordGuildState:
        found = self.state.guilds.get(self._id("guild_id"))
        if found is None or found.is_gone:
            raise DiscordErrorResponse(UNKNOWN_GUILD)
        if not found.has_bot:
            raise DiscordErrorResponse(MISSING_ACCESS)
        return found

    def check_allowed_mentions(self, fields: Mapping[str, Any]) -> None:
        """Record a violation if text is sent without `allowed_mentions`: text of a model must not notify people."""
        if (fields.get("content") or fields.get("components")) and fields.get("allowed_mentions") is None:
            self.request_log.record_violation(self.request, "words are sent without allowed_mentions")

    def serialize_written_message(self, message: "DiscordMessageState") -> Json:
        """Return a written message for the response. Record files that are not shown and edits without effect."""
        shown = list_shown_urls(message.components)
        unshown = [
            attachment.filename for attachment in message.attachments if message.is_v2 and attachment.url not in shown
        ]
        if unshown:
            self.request_log.record_violation(self.request, f"{', '.join(unshown)} is shown by no component")
        if len(message.versions) > 1 and message.versions[-1].has_same_content(message.versions[-2]):
            self.emulator.redundant_edits.append(self.request)
        return message_json(message)

    def _id(self, name: str) -> int:
        text = self.parameters[name]
        return int(text) if text.isdigit() else 0


RouteHandler = Callable[[DiscordRequestContext], RouteResponse]
