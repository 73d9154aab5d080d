"""The register of methods, and what each of them gets."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulators.slack.journal import Call, Refused
from tests.emulators.slack.messages import Json, Message

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import Person
    from tests.emulators.slack.workspace import Channel, Team


@dataclass(frozen=True)
class Asked:
    """One call on its way to its answer. `args` are as meant: JSON and numbers in forms have been read."""

    slack: "SlackEmulator"
    call: Call
    args: Json
    team: "Team"

    def channel(self, name: str = "channel") -> "Channel":
        """The channel of that argument, if the app can see it. Raises Refused."""
        channel = self.team.channels.get(str(self.args.get(name, "")))
        if channel is None or (channel.is_private and not channel.has_bot):
            raise Refused("channel_not_found")
        return channel

    def channel_to_write(self, name: str = "channel") -> "Channel":
        """The same, and the app is in it and it is not archived. Raises Refused."""
        channel = self.channel(name)
        if channel.is_archived:
            raise Refused("is_archived")
        if not channel.has_bot:
            raise Refused("not_in_channel")
        return channel

    def message(self, channel: "Channel", name: str = "ts") -> Message:
        """Raises Refused."""
        message = channel.find(str(self.args.get(name, "")))
        if message is None:
            raise Refused("message_not_found")
        return message

    def own_message(self, channel: "Channel", error: str) -> Message:
        """The app's own one. Raises Refused, with `error` when it is somebody else's."""
        message = self.message(channel)
        if message.bot_id != self.team.bot_id:
            raise Refused(error)
        return message

    def thread_ts(self, channel: "Channel", *, must_be_there: bool = True) -> str | None:
        """Where an answer goes: the root's ts, or None for the channel. Raises Refused when the thread is gone."""
        ts = self.args.get("thread_ts")
        if ts is None:
            return None
        root = channel.root(str(ts))
        if root is None and not must_be_there and not self.slack.options.refuses_orphans:
            return None
        if root is None:
            raise Refused("thread_not_found")
        if root.thread_ts and root.thread_ts != root.ts:
            self.violated(f"thread_ts {ts} is a reply; Slack wants the thread's root {root.thread_ts}")
            return root.thread_ts
        return root.ts

    def person(self, name: str) -> "Person":
        """Raises Refused."""
        person = self.team.people.get(str(self.args.get(name, "")))
        if person is None:
            raise Refused("user_not_found")
        return person

    def need_any(self, *scopes: str) -> None:
        """Raises Refused unless the app was granted one of them."""
        if not self.team.scopes & set(scopes):
            raise Refused("missing_scope", needed=scopes[0], provided=",".join(sorted(self.team.scopes)))

    def violated(self, sentence: str) -> None:
        self.slack.journal.violated(f"{self.call.method}: {sentence}.")


Method = Callable[[Asked], Awaitable[Json]]

METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Put a function into the register: it gives what stands beside `ok`, or raises Refused."""

    def register(function: Method) -> Method:
        METHODS[name] = function
        return function

    return register
