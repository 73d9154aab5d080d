"""The register of methods, and what each of them gets."""

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
    """One call on its way to its answer. `args` are as meant: JSON and numbers in forms have been read."""

    slack: "SlackEmulator"
    call: SlackCallRecord
    args: Json
    team: "SlackTeamState"

    def get_channel(self, name: str = "channel") -> "SlackChannelState":
        """The channel of that argument, if the app can see it. Raises Refused."""
        channel = self.team.channels.get(str(self.args.get(name, "")))
        if channel is None or (channel.is_private and not channel.has_bot):
            raise SlackErrorResponse("channel_not_found")
        return channel

    def get_writable_channel(self, name: str = "channel") -> "SlackChannelState":
        """The same, and the app is in it and it is not archived. Raises Refused."""
        channel = self.get_channel(name)
        if channel.is_archived:
            raise SlackErrorResponse("is_archived")
        if not channel.has_bot:
            raise SlackErrorResponse("not_in_channel")
        return channel

    def get_message(self, channel: "SlackChannelState", name: str = "ts") -> SlackMessageState:
        """Raises Refused."""
        message = channel.find_message(str(self.args.get(name, "")))
        if message is None:
            raise SlackErrorResponse("message_not_found")
        return message

    def get_own_message(self, channel: "SlackChannelState", error: str) -> SlackMessageState:
        """The app's own one. Raises Refused, with `error` when it is somebody else's."""
        message = self.get_message(channel)
        if message.bot_id != self.team.bot_id:
            raise SlackErrorResponse(error)
        return message

    def resolve_thread_ts(self, channel: "SlackChannelState", *, must_exist: bool = True) -> str | None:
        """Where an answer goes: the root's ts, or None for the channel. Raises Refused when the thread is gone."""
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
        """Raises Refused."""
        person = self.team.people.get(str(self.args.get(name, "")))
        if person is None:
            raise SlackErrorResponse("user_not_found")
        return person

    def require_any_scope(self, *scopes: str) -> None:
        """Raises Refused unless the app was granted one of them."""
        if not self.team.scopes & set(scopes):
            raise SlackErrorResponse("missing_scope", needed=scopes[0], provided=",".join(sorted(self.team.scopes)))

    def record_violation(self, sentence: str) -> None:
        self.slack.request_log.record_violation(f"{self.call.method}: {sentence}.")


MethodHandler = Callable[[SlackRequestContext], Awaitable[Json]]

METHODS: dict[str, MethodHandler] = {}


def method(name: str) -> Callable[[MethodHandler], MethodHandler]:
    """Put a function into the register: it gives what stands beside `ok`, or raises Refused."""

    def register(function: MethodHandler) -> MethodHandler:
        METHODS[name] = function
        return function

    return register
