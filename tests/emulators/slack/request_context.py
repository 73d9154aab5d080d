"""The registry of methods, and the context of a call with the checks that methods share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.request_log import SlackCallRecord, SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.state import SlackChannelState, SlackTeamState


@dataclass(frozen=True)
class SlackRequestContext:
    """A call under way. `args` are parsed: JSON, numbers and booleans instead of a form's texts."""

    slack: "SlackEmulator"
    call: SlackCallRecord
    args: Json
    team: "SlackTeamState"

    def get_channel(self, name: str = "channel") -> "SlackChannelState":
        """Return the argument's channel. Raise `SlackErrorResponse` if the app cannot see the channel."""
        channel = self.team.channels.get(str(self.args.get(name, "")))
        if channel is None or (channel.is_private and not channel.has_bot):
            raise SlackErrorResponse("channel_not_found")
        return channel

    def get_writable_channel(self, name: str = "channel") -> "SlackChannelState":
        """Return the argument's channel. Raise `SlackErrorResponse` if archived or without the app."""
        channel = self.get_channel(name)
        if channel.is_archived:
            raise SlackErrorResponse("is_archived")
        if not channel.has_bot:
            raise SlackErrorResponse("not_in_channel")
        return channel

    def get_message(self, channel: "SlackChannelState", name: str = "ts") -> SlackMessageState:
        """Return the argument's message. Raise `SlackErrorResponse` if missing."""
        message = channel.find_message(str(self.args.get(name, "")))
        if message is None:
            raise SlackErrorResponse("message_not_found")
        return message

    def get_own_message(self, channel: "SlackChannelState", error: str) -> SlackMessageState:
        """Return the app's own message. Raise `SlackErrorResponse` with `error` for a message of another author."""
        message = self.get_message(channel)
        if message.bot_id != self.team.bot_id:
            raise SlackErrorResponse(error)
        return message

    def resolve_thread_ts(self, channel: "SlackChannelState", *, must_exist: bool = True) -> str | None:
        """Return the root's ts, or None for the channel. Raise `SlackErrorResponse` for a deleted thread."""
        ts = self.args.get("thread_ts")
        if ts is None:
            return None
        root = channel.find_root(str(ts))
        if root is None and not must_exist and not self.slack.options.rejects_orphan_replies:
            return None
        if root is None:
            raise SlackErrorResponse("thread_not_found")
        if root.thread_ts and root.thread_ts != root.ts:
            self.record_violation(f"thread_ts {ts} is a reply; Slack wants the thread's root {root.thread_ts}")
            return root.thread_ts
        return root.ts

    def get_person(self, name: str) -> "SlackPerson":
        """Return the argument's person. Raise `SlackErrorResponse` if unknown."""
        person = self.team.people.get(str(self.args.get(name, "")))
        if person is None:
            raise SlackErrorResponse("user_not_found")
        return person

    def require_any_scope(self, *scopes: str) -> None:
        """Raise `SlackErrorResponse` unless the app has at least one of the scopes."""
        if not self.team.scopes & set(scopes):
            raise SlackErrorResponse("missing_scope", needed=scopes[0], provided=",".join(sorted(self.team.scopes)))

    def record_violation(self, sentence: str) -> None:
        self.slack.request_log.record_violation(f"{self.call.method}: {sentence}.")


MethodHandler = Callable[[SlackRequestContext], Awaitable[Json]]

METHODS: dict[str, MethodHandler] = {}


def method(name: str) -> Callable[[MethodHandler], MethodHandler]:
    """Register a method. The function returns the fields beside `ok` or raises `SlackErrorResponse`."""

    def register(function: MethodHandler) -> MethodHandler:
        METHODS[name] = function
        return function

    return register
