"""A workspace: its channels, its people, its groups, and the app's place in it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulators.slack.changes import PATIENCE_SECONDS
from tests.emulators.slack.files import File
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.people import Person

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator


@dataclass(eq=False)
class Channel:
    """A channel or a DM with the app. `messages` are in order, threads among them, deleted ones left out."""

    team: "Team"
    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    has_bot: bool = True
    members: set[str] = field(default_factory=set)
    person: str = ""
    """Whose DM this is."""
    all_messages: list[Message] = field(default_factory=list)

    @property
    def type(self) -> str:
        return "im" if self.person else "group" if self.is_private else "channel"

    @property
    def messages(self) -> list[Message]:
        return [message for message in self.all_messages if not message.is_deleted and not message.only_for]

    @property
    def of_bot(self) -> list[Message]:
        return [message for message in self.messages if message.is_of_bot]

    def find(self, ts: str) -> Message | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def replies(self, ts: str) -> list[Message]:
        return [message for message in self.messages if message.thread_ts == ts and message.ts != ts]

    def root(self, ts: str) -> Message | None:
        """Of a thread: also a deleted one, as long as there are answers to it."""
        gone = (message for message in self.all_messages if message.ts == ts and self.replies(ts))
        return self.find(ts) or next(gone, None)

    def thread(self, message: Message) -> "Thread":
        return Thread(self, message.thread_ts or message.ts)

    def add(self, message: Message) -> Message:
        self.all_messages.append(message)
        message.keep(self.team.slack.clock.now())
        return message

    async def bot_says(
        self,
        text: str = "",
        *,
        holds: Callable[[Message], object] = lambda message: True,
        after: Message | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Message:
        """The app's first message here (after `after`) that shows `text` and for which `holds` holds, now or soon."""
        return await _first(self.team, lambda: self.of_bot, self.name, text, holds, after, patience)

    def invite_bot(self) -> None:
        self.has_bot = True
        self.members.add(self.team.bot_user)

    def remove_bot(self) -> None:
        self.has_bot = False
        self.members.discard(self.team.bot_user)

    def archive(self) -> None:
        self.is_archived = True

    def as_json(self) -> Json:
        kind = {"is_channel": self.type == "channel", "is_group": self.type == "group", "is_im": self.type == "im"}
        told: Json = {"id": self.id, "is_archived": self.is_archived, "is_private": self.is_private, **kind}
        if self.person:
            return told | {"user": self.person, "is_open": True}
        return told | {"name": self.name, "is_member": self.has_bot, "num_members": len(self.members)}


@dataclass(frozen=True)
class Thread:
    """The root `ts` and what was answered to it."""

    channel: Channel
    ts: str

    @property
    def messages(self) -> list[Message]:
        return self.channel.replies(self.ts)

    @property
    def of_bot(self) -> list[Message]:
        return [message for message in self.messages if message.is_of_bot]

    @property
    def status(self) -> str:
        """What the app says it is doing; empty when it says nothing."""
        return self.channel.team.status_of(self.channel.id, self.ts)

    async def bot_says(
        self,
        text: str = "",
        *,
        holds: Callable[[Message], object] = lambda message: True,
        after: Message | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Message:
        """As `Channel.bot_says`, in this thread alone."""
        return await _first(self.channel.team, lambda: self.of_bot, "the thread", text, holds, after, patience)


async def _first(
    team: "Team",
    messages: Callable[[], list[Message]],
    where: str,
    text: str,
    holds: Callable[[Message], object],
    after: Message | None,
    patience: float,
) -> Message:
    def find() -> Message | None:
        later = (message for message in messages() if after is None or float(message.ts) > float(after.ts))
        return next((message for message in later if text in message.shown and holds(message)), None)

    return await team.slack.changes.until(find, f"message of the app with {text!r} in {where}", patience)


@dataclass(eq=False)
class UserGroup:
    id: str
    handle: str
    members: list[str]


class Team:
    """One workspace. `bot_token` is empty while the app is not installed in it."""

    def __init__(self, slack: "SlackEmulator", name: str, *, installed: bool, scopes: Iterable[str]) -> None:
        self.slack = slack
        self.name = name
        self.id = slack.ids.next("T")
        self.domain = name.lower().replace(" ", "-")
        self.bot_user = slack.ids.next("U")
        self.bot_id = slack.ids.next("B")
        self.scopes = set(scopes)
        self.bot_token = ""
        self.is_installed = False
        self.channels: dict[str, Channel] = {}
        self.people: dict[str, Person] = {}
        self.groups: list[UserGroup] = []
        self.files: dict[str, File] = {}
        self.statuses: dict[tuple[str, str], tuple[str, float]] = {}
        self.status_history: list[tuple[str, str, str]] = []
        self.prompts: list[Json] = []
        self.sessions: dict[tuple[str, str], Json] = {}
        if installed:
            self.install()

    @property
    def mention(self) -> str:
        """How people call the app."""
        return f"<@{self.bot_user}>"

    def install(self) -> str:
        """Give the app a token here."""
        self.bot_token = self.slack.tokens.issue(self)
        self.is_installed = True
        return self.bot_token

    def channel(self, name: str, *, private: bool = False, bot: bool = True) -> Channel:
        """A new channel, with everyone known in it; `bot` says whether the app is a member."""
        channel = Channel(self, self.slack.ids.next("C"), name, is_private=private, has_bot=bot)
        channel.members = set(self.people) | ({self.bot_user} if bot else set())
        self.channels[channel.id] = channel
        return channel

    def user(self, name: str, *, is_admin: bool = False, is_owner: bool = False, locale: str = "en-US") -> Person:
        """A new person, in every channel."""
        person = Person(self, self.slack.ids.next("U"), name, is_admin=is_admin, is_owner=is_owner, locale=locale)
        self.people[person.id] = person
        for channel in self.channels.values():
            if not channel.person:
                channel.members.add(person.id)
        return person

    def user_group(self, handle: str, members: Iterable[Person]) -> UserGroup:
        group = UserGroup(self.slack.ids.next("S"), handle, [person.id for person in members])
        self.groups.append(group)
        return group

    def dm(self, person: str) -> Channel:
        """The DM of the app and that person, opened when it is not yet."""
        for channel in self.channels.values():
            if channel.person == person:
                return channel
        channel = Channel(self, self.slack.ids.next("D"), "directmessage", is_private=True, person=person)
        channel.members = {person, self.bot_user}
        self.channels[channel.id] = channel
        return channel

    def add_file(self, owner: str, name: str, content: bytes) -> File:
        """A person's file, looked at by Slack already."""
        file = File(self, self.slack.ids.next("F"), name, len(content), owner, title=name, content=content)
        file.is_uploaded = True
        file.completed_at = self.slack.clock.now() - self.slack.options.lifetimes.processing
        self.files[file.id] = file
        return file

    def set_status(self, channel: str, ts: str, status: str) -> None:
        """It goes after two minutes, with the next post, or with an empty one."""
        self.statuses[channel, ts] = (status, self.slack.clock.now() + self.slack.options.lifetimes.status)
        self.status_history.append((channel, ts, status))
        self.slack.changes.happened()

    def session(self, channel: str, ts: str) -> Json:
        """Of an agent, in a thread: status and title. A stream makes it `processing`, its end `active`."""
        return self.sessions.setdefault((channel, ts), {})

    def status_of(self, channel: str, ts: str) -> str:
        status, ends_at = self.statuses.get((channel, ts), ("", 0.0))
        return status if self.slack.clock.now() < ends_at else ""

    def clear_status(self, channel: str, ts: str | None) -> None:
        """A post in the thread takes its status away."""
        if ts:
            self.statuses.pop((channel, ts), None)

    async def uninstall(self) -> None:
        """Somebody removes the app: its token is dead, and Slack says so in two events."""
        self.slack.tokens.refuse(self.bot_token, "account_inactive")
        self.is_installed = False
        self.slack.events.send(self, {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.bot_user]}})
        self.slack.events.send(self, {"type": "app_uninstalled"})

    def revoke_token(self) -> None:
        """The token is dead, and nobody says so."""
        self.slack.tokens.refuse(self.bot_token, "token_revoked")
