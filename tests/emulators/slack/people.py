"""People: what they type, press and fill in, and what they see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.slack import gestures
from tests.emulators.slack.changes import PATIENCE_SECONDS
from tests.emulators.slack.delivery import COMMANDS, Delivery
from tests.emulators.slack.forms import Upload
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.oauth import install
from tests.emulators.slack.views import View

if TYPE_CHECKING:
    from tests.emulators.slack.workspace import Channel, Team, Thread


@dataclass(eq=False)
class Person:
    """Somebody in a workspace. `notices` are Slack's own words to them when the app fails."""

    team: "Team"
    id: str
    name: str
    is_admin: bool = False
    is_owner: bool = False
    locale: str = "en-US"
    notices: list[str] = field(default_factory=list)

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def escaped(self) -> str:
        """How Slack writes this person into the text of a command that asks for it (`should_escape`)."""
        return f"<@{self.id}|{self.name.lower()}>"

    @property
    def dm(self) -> "Channel":
        """Their DM with the app."""
        return self.team.dm(self.id)

    # What they do. Each is on its way when it returns; await `acked()` of what is given for the app's answer.

    async def slash(self, command: str, text: str = "", channel: "Channel | None" = None) -> Delivery:
        """Type a command; without a channel, in the DM. Slack knows no commands in threads."""
        channel, slack = channel or self.dm, self.team.slack
        assert slack.options.has_command(command), f"the app has no command {command}: Slack would send a message"
        payload = {
            "token": "verification-token", "team_id": self.team.id, "team_domain": self.team.domain,
            "channel_id": channel.id, "channel_name": channel.name, "user_id": self.id,
            "user_name": self.name.lower(), "command": command, "text": text, "api_app_id": slack.app_id,
            "is_enterprise_install": "false", "response_url": slack.response_urls.issue(self, channel),
            "trigger_id": slack.triggers.issue(self),
        }  # fmt: skip
        delivery = slack.post_office.send(COMMANDS, payload)
        slack.post_office.spawn(gestures.see_command(self, delivery, channel))
        return delivery

    async def say(
        self,
        text: str,
        channel: "Channel | None" = None,
        *,
        thread: "Message | Thread | None" = None,
        files: Sequence[bytes | Upload] = (),
    ) -> Message:
        """Post a message: to the channel, to a thread, or without either to the DM. `text` is as Slack escapes it."""
        channel = channel or (thread.channel if thread else self.dm)
        root = (getattr(thread, "thread_ts", None) or thread.ts) if thread else None
        message = Message(channel, self.team.slack.clock.stamp(), self.id, text, thread_ts=root)
        for number, content in enumerate(files, 1):
            upload = content if isinstance(content, Upload) else Upload(f"picture-{number}.png", content)
            file = self.team.add_file(self.id, upload.name, upload.content)
            file.share(message)
            message.files.append(file)
        channel.add(message)
        self.team.slack.events.message(message)
        return message

    async def edit(self, message: Message, text: str) -> None:
        """Change one's own message."""
        before = message.as_json()
        message.text, message.edited_at = text, self.team.slack.clock.stamp()
        message.keep(self.team.slack.clock.now())
        self.team.slack.events.changed(message, before)

    async def press(self, where: Message | View, which: str) -> Delivery:
        """Press the button with that label or action id, in a message or a modal."""
        return gestures.act(self, where, which, None)

    async def choose(self, where: Message | View, which: str, what: Any) -> Delivery:
        """Choose an option, by value or text; an external menu's as `suggestions` gave it."""
        return gestures.act(self, where, which, what)

    async def suggestions(self, where: Message | View, which: str, typed: str = "") -> list[Json]:
        """What an external menu offers when that is typed into it."""
        return await gestures.suggestions(self, where, which, typed)

    async def shortcut(self, callback_id: str, message: Message) -> Delivery:
        """A message shortcut: it works in threads too."""
        return gestures.message_shortcut(self, callback_id, message)

    async def global_shortcut(self, callback_id: str) -> Delivery:
        return gestures.global_shortcut(self, callback_id)

    async def submit(self, view: View, values: Mapping[str, Any] | None = None) -> Delivery:
        """Fill in the form (by label, action id or block id; files as `Upload`), send it, wait for the app's answer.

        Afterwards `view.errors` says what the app had against it, and `view.is_open` whether it is still there.
        """
        return await gestures.submit(self, view, values or {})

    async def close(self, view: View) -> Delivery | None:
        """Close a modal; the app hears of it when it asked to."""
        return gestures.close(self, view)

    async def open_app_home(self, tab: str = "messages") -> Delivery | None:
        """Look at the app: its `messages` or its `home`."""
        home = self.team.slack.views.homes.get(self)
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": self.dm.id, "tab": tab}
        return self.team.slack.events.send(self.team, event | ({"view": home.as_json()} if home else {}))

    async def stop(self, message: Message) -> Delivery | None:
        """Press Slack's own Stop under a streaming answer."""
        return gestures.stop(self, message)

    async def install(self, install_url: str) -> tuple[int, str]:
        """Add the app to the workspace by the app's own page: the status and the text of the last page."""
        return await install(self, install_url)

    # What they see.

    @property
    def ephemerals(self) -> list[Message]:
        """What the app showed to this person alone."""
        everywhere = (message for channel in self.team.channels.values() for message in channel.all_messages)
        mine = [message for message in everywhere if message.only_for == self.id and not message.is_deleted]
        return sorted(mine, key=lambda message: float(message.ts))

    async def told(
        self, text: str = "", *, after: Message | None = None, patience: float = PATIENCE_SECONDS
    ) -> Message:
        """The app's first message to this person alone that shows `text`, now or soon."""

        def find() -> Message | None:
            later = (one for one in self.ephemerals if after is None or float(one.ts) > float(after.ts))
            return next((message for message in later if text in message.shown), None)

        return await self.team.slack.changes.until(find, f"message to {self.name} alone with {text!r}", patience)

    async def noticed(self, text: str = "", patience: float = PATIENCE_SECONDS) -> str:
        """Slack's own words to this person, when the app did not answer."""

        def find() -> str | None:
            return next((notice for notice in self.notices if text in notice), None)

        return await self.team.slack.changes.until(find, f"notice to {self.name} with {text!r}", patience)

    async def modal(self, title: str = "", *, patience: float = PATIENCE_SECONDS) -> View:
        """The modal in front of this person, now or soon, with `title` in its title."""

        def find() -> View | None:
            view = self.team.slack.views.top(self)
            return view if view and title in view.title else None

        return await self.team.slack.changes.until(find, f"modal {title!r} before {self.name}", patience)

    @property
    def home(self) -> View | None:
        """The app's Home tab, as published for this person."""
        return self.team.slack.views.homes.get(self)

    def as_json(self) -> Json:
        profile = {"display_name": self.name, "real_name": self.name}
        return {
            "id": self.id, "team_id": self.team.id, "name": self.name.lower(), "real_name": self.name,
            "deleted": False, "is_admin": self.is_admin or self.is_owner, "is_owner": self.is_owner,
            "is_primary_owner": False, "is_restricted": False, "is_ultra_restricted": False, "is_bot": False,
            "is_app_user": False, "tz": "Europe/Berlin", "tz_offset": 3600, "profile": profile,
        }  # fmt: skip
