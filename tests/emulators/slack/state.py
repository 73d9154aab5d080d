"""The state of a workspace: channels, people, user groups, and the app's installation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.slack.files import SlackFileState
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.people import SlackPerson

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator


@dataclass(eq=False)
class SlackChannelState:
    """A channel or a DM with the app. `messages` are in order, replies included, deleted messages excluded."""

    team: "SlackTeamState"
    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    has_bot: bool = True
    members: set[str] = field(default_factory=set)
    direct_user_id: str = ""
    """The person of a DM."""
    all_messages: list[SlackMessageState] = field(default_factory=list)

    @property
    def type(self) -> str:
        return "im" if self.direct_user_id else "group" if self.is_private else "channel"

    @property
    def messages(self) -> list[SlackMessageState]:
        return [message for message in self.all_messages if not message.is_deleted and not message.visible_to_user_id]

    @property
    def bot_messages(self) -> list[SlackMessageState]:
        return [message for message in self.messages if message.is_from_bot]

    def find_message(self, ts: str) -> SlackMessageState | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def list_replies(self, ts: str) -> list[SlackMessageState]:
        return [message for message in self.messages if message.thread_ts == ts and message.ts != ts]

    def find_root(self, ts: str) -> SlackMessageState | None:
        """Return a thread's root, also a deleted root that still has replies."""
        gone = (message for message in self.all_messages if message.ts == ts and self.list_replies(ts))
        return self.find_message(ts) or next(gone, None)

    def get_thread(self, message: SlackMessageState) -> "SlackThreadState":
        return SlackThreadState(self, message.thread_ts or message.ts)

    def add_message(self, message: SlackMessageState) -> SlackMessageState:
        self.all_messages.append(message)
        message.record_version(self.team.slack.clock.now())
        return message

    async def wait_for_bot_message(
        self,
        text: str = "",
        *,
        condition: Callable[[SlackMessageState], object] = lambda message: True,
        after: SlackMessageState | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> SlackMessageState:
        """Return the app's first message (after `after`) with `text` that `condition` accepts, waiting if necessary."""
        return await _wait_for_message(
            self.team, lambda: self.bot_messages, self.name, text, condition, after, timeout_seconds
        )

    def invite_bot(self) -> None:
        self.has_bot = True
        self.members.add(self.team.bot_user_id)

    def remove_bot(self) -> None:
        self.has_bot = False
        self.members.discard(self.team.bot_user_id)

    def archive(self) -> None:
        self.is_archived = True

    def to_json(self) -> Json:
        kind = {"is_channel": self.type == "channel", "is_group": self.type == "group", "is_im": self.type == "im"}
        payload: Json = {"id": self.id, "is_archived": self.is_archived, "is_private": self.is_private, **kind}
        if self.direct_user_id:
            return payload | {"user": self.direct_user_id, "is_open": True}
        return payload | {"name": self.name, "is_member": self.has_bot, "num_members": len(self.members)}


@dataclass(frozen=True)
class SlackThreadState:
    """A thread: the root `ts` and the replies."""

    channel: SlackChannelState
    ts: str

    @property
    def messages(self) -> list[SlackMessageState]:
        return self.channel.list_replies(self.ts)

    @property
    def bot_messages(self) -> list[SlackMessageState]:
        return [message for message in self.messages if message.is_from_bot]

    @property
    def status(self) -> str:
        """Return the app's status text; empty without a status."""
        return self.channel.team.get_status(self.channel.id, self.ts)

    async def wait_for_bot_message(
        self,
        text: str = "",
        *,
        condition: Callable[[SlackMessageState], object] = lambda message: True,
        after: SlackMessageState | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> SlackMessageState:
        """Return the app's first matching message in this thread, like `SlackChannelState.wait_for_bot_message`."""
        return await _wait_for_message(
            self.channel.team, lambda: self.bot_messages, "the thread", text, condition, after, timeout_seconds
        )


async def _wait_for_message(
    team: "SlackTeamState",
    messages: Callable[[], list[SlackMessageState]],
    where: str,
    text: str,
    holds: Callable[[SlackMessageState], object],
    after: SlackMessageState | None,
    timeout_seconds: float,
) -> SlackMessageState:
    def find() -> SlackMessageState | None:
        later = (message for message in messages() if after is None or float(message.ts) > float(after.ts))
        return next((message for message in later if text in message.visible_text and holds(message)), None)

    return await team.slack.changes.wait_for(find, f"a message of the app with {text!r} in {where}", timeout_seconds)


@dataclass(eq=False)
class SlackUserGroupState:
    id: str
    handle: str
    members: list[str]


class SlackTeamState:
    """A workspace. `bot_token` is empty while the app is not installed."""

    def __init__(self, slack: "SlackEmulator", name: str, *, is_installed: bool, scopes: Iterable[str]) -> None:
        self.slack = slack
        self.name = name
        self.id = slack.ids.next("T")
        self.domain = name.lower().replace(" ", "-")
        self.bot_user_id = slack.ids.next("U")
        self.bot_id = slack.ids.next("B")
        self.scopes = set(scopes)
        self.bot_token = ""
        self.is_installed = False
        self.channels: dict[str, SlackChannelState] = {}
        self.people: dict[str, SlackPerson] = {}
        self.groups: list[SlackUserGroupState] = []
        self.files: dict[str, SlackFileState] = {}
        self.statuses: dict[tuple[str, str], tuple[str, float]] = {}
        self.status_history: list[tuple[str, str, str]] = []
        self.suggested_prompts: list[Json] = []
        self.sessions: dict[tuple[str, str], Json] = {}
        if is_installed:
            self.install()

    @property
    def mention(self) -> str:
        """Return the mention of the app."""
        return f"<@{self.bot_user_id}>"

    def install(self) -> str:
        """Install the app; return the token."""
        self.bot_token = self.slack.tokens.issue(self)
        self.is_installed = True
        return self.bot_token

    def add_channel(self, name: str, *, is_private: bool = False, has_bot: bool = True) -> SlackChannelState:
        """Add a channel with all known people; `has_bot` decides whether the app is a member."""
        channel = SlackChannelState(self, self.slack.ids.next("C"), name, is_private=is_private, has_bot=has_bot)
        channel.members = set(self.people) | ({self.bot_user_id} if has_bot else set())
        self.channels[channel.id] = channel
        return channel

    def add_person(
        self, name: str, *, is_admin: bool = False, is_owner: bool = False, locale: str = "en-US"
    ) -> SlackPerson:
        """Add a person to the workspace and to all channels."""
        person = SlackPerson(self, self.slack.ids.next("U"), name, is_admin=is_admin, is_owner=is_owner, locale=locale)
        self.people[person.id] = person
        for channel in self.channels.values():
            if not channel.direct_user_id:
                channel.members.add(person.id)
        return person

    def add_user_group(self, handle: str, members: Iterable[SlackPerson]) -> SlackUserGroupState:
        group = SlackUserGroupState(self.slack.ids.next("S"), handle, [person.id for person in members])
        self.groups.append(group)
        return group

    def open_direct_channel(self, user_id: str) -> SlackChannelState:
        """Return the DM of the app and a person, created if missing."""
        for channel in self.channels.values():
            if channel.direct_user_id == user_id:
                return channel
        channel = SlackChannelState(
            self, self.slack.ids.next("D"), "directmessage", is_private=True, direct_user_id=user_id
        )
        channel.members = {user_id, self.bot_user_id}
        self.channels[channel.id] = channel
        return channel

    def add_file(self, owner: str, name: str, content: bytes) -> SlackFileState:
        """Add a file of a person, already processed."""
        file = SlackFileState(self, self.slack.ids.next("F"), name, len(content), owner, title=name, content=content)
        file.is_uploaded = True
        file.completed_at = self.slack.clock.now() - self.slack.options.lifetimes.processing_seconds
        self.files[file.id] = file
        return file

    def add_canvas(self, owner: str, title: str, markdown: str) -> SlackFileState:
        """Add a canvas of a person."""
        file = self.add_file(owner, title, markdown.encode())
        file.is_canvas = True
        return file

    def set_status(self, channel: str, ts: str, status: str) -> None:
        """Set a status. A status ends after two minutes, with the next post, or with an empty text."""
        self.statuses[channel, ts] = (status, self.slack.clock.now() + self.slack.options.lifetimes.status_seconds)
        self.status_history.append((channel, ts, status))
        self.slack.changes.notify()

    def get_session(self, channel: str, ts: str) -> Json:
        """Return the agent session of a thread: status and title. A stream sets `processing`, the stream's end
        `active`.
        """
        return self.sessions.setdefault((channel, ts), {})

    def get_status(self, channel: str, ts: str) -> str:
        status, ends_at = self.statuses.get((channel, ts), ("", 0.0))
        return status if self.slack.clock.now() < ends_at else ""

    def clear_status(self, channel: str, ts: str | None) -> None:
        """Clear a thread's status, as a post in the thread does."""
        if ts:
            self.statuses.pop((channel, ts), None)

    async def uninstall(self) -> None:
        """Remove the app: the token becomes invalid, and Slack sends two events."""
        self.slack.tokens.revoke(self.bot_token, "account_inactive")
        self.is_installed = False
        self.slack.event_sender.send(
            self, {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.bot_user_id]}}
        )
        self.slack.event_sender.send(self, {"type": "app_uninstalled"})

    def revoke_token(self) -> None:
        """Invalidate the token without an event."""
        self.slack.tokens.revoke(self.bot_token, "token_revoked")
