"""People: what they type, press and fill in, and what they see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.slack import interactions
from tests.emulators.slack.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.slack.delivery import COMMANDS, SlackDelivery
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.oauth import install_app
from tests.emulators.slack.views import SlackViewState

if TYPE_CHECKING:
    from tests.emulators.slack.state import SlackChannelState, SlackTeamState, SlackThreadState


@dataclass(eq=False)
class SlackPerson:
    """Somebody in a workspace. `notices` are Slack's own words to them when the app fails."""

    team: "SlackTeamState"
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
    def escaped_mention(self) -> str:
        """How Slack writes this person into the text of a command that asks for it (`should_escape`)."""
        return f"<@{self.id}|{self.name.lower()}>"

    @property
    def direct_channel(self) -> "SlackChannelState":
        """Their DM with the app."""
        return self.team.open_direct_channel(self.id)

    # What they do. Each is on its way when it returns; await `acked()` of what is given for the app's answer.

    async def use_command(
        self, command: str, text: str = "", channel: "SlackChannelState | None" = None
    ) -> SlackDelivery:
        """Type a command; without a channel, in the DM. Slack knows no commands in threads."""
        channel, slack = channel or self.direct_channel, self.team.slack
        assert slack.options.has_command(command), f"the app has no command {command}: Slack would send a message"
        payload = {
            "token": "verification-token", "team_id": self.team.id, "team_domain": self.team.domain,
            "channel_id": channel.id, "channel_name": channel.name, "user_id": self.id,
            "user_name": self.name.lower(), "command": command, "text": text, "api_app_id": slack.app_id,
            "is_enterprise_install": "false", "response_url": slack.response_urls.issue(self, channel),
            "trigger_id": slack.triggers.issue(self),
        }  # fmt: skip
        delivery = slack.delivery_service.send(COMMANDS, payload)
        slack.delivery_service.spawn(interactions.show_command_result(self, delivery, channel))
        return delivery

    async def say(
        self,
        text: str,
        channel: "SlackChannelState | None" = None,
        *,
        thread: "SlackMessageState | SlackThreadState | None" = None,
        files: Sequence[bytes | SlackFileUpload] = (),
    ) -> SlackMessageState:
        """Post a message: to the channel, to a thread, or without either to the DM. `text` is as Slack escapes it."""
        channel = channel or (thread.channel if thread else self.direct_channel)
        root = (getattr(thread, "thread_ts", None) or thread.ts) if thread else None
        message = SlackMessageState(channel, self.team.slack.clock.next_timestamp(), self.id, text, thread_ts=root)
        for number, content in enumerate(files, 1):
            upload = (
                content if isinstance(content, SlackFileUpload) else SlackFileUpload(f"picture-{number}.png", content)
            )
            file = self.team.add_file(self.id, upload.name, upload.content)
            file.share(message)
            message.files.append(file)
        channel.add_message(message)
        self.team.slack.event_sender.send_message_posted(message)
        return message

    async def edit(self, message: SlackMessageState, text: str) -> None:
        """Change one's own message."""
        before = message.to_json()
        message.text, message.edited_at = text, self.team.slack.clock.next_timestamp()
        message.record_version(self.team.slack.clock.now())
        self.team.slack.event_sender.send_message_changed(message, before)

    async def press(self, container: SlackMessageState | SlackViewState, label: str) -> SlackDelivery:
        """Press the button with that label or action id, in a message or a modal."""
        return interactions.perform_action(self, container, label, None)

    async def choose(self, container: SlackMessageState | SlackViewState, label: str, value: Any) -> SlackDelivery:
        """Choose an option, by value or text; an external menu's as `suggestions` gave it."""
        return interactions.perform_action(self, container, label, value)

    async def fetch_suggestions(
        self, container: SlackMessageState | SlackViewState, label: str, typed: str = ""
    ) -> list[Json]:
        """What an external menu offers when that is typed into it."""
        return await interactions.fetch_suggestions(self, container, label, typed)

    async def use_message_shortcut(self, callback_id: str, message: SlackMessageState) -> SlackDelivery:
        """A message shortcut: it works in threads too."""
        return interactions.use_message_shortcut(self, callback_id, message)

    async def use_global_shortcut(self, callback_id: str) -> SlackDelivery:
        return interactions.use_global_shortcut(self, callback_id)

    async def submit(self, view: SlackViewState, values: Mapping[str, Any] | None = None) -> SlackDelivery:
        """Fill in the form (by label, action id or block id; files as `Upload`), send it, wait for the app's answer.

        Afterwards `view.errors` says what the app had against it, and `view.is_open` whether it is still there.
        """
        return await interactions.submit_view(self, view, values or {})

    async def close_modal(self, view: SlackViewState) -> SlackDelivery | None:
        """Close a modal; the app hears of it when it asked to."""
        return interactions.close_view(self, view)

    async def open_app_home(self, tab: str = "messages") -> SlackDelivery | None:
        """Look at the app: its `messages` or its `home`."""
        home = self.team.slack.views.homes.get(self)
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": self.direct_channel.id, "tab": tab}
        return self.team.slack.event_sender.send(self.team, event | ({"view": home.to_json()} if home else {}))

    async def stop_stream(self, message: SlackMessageState) -> SlackDelivery | None:
        """Press Slack's own Stop under a streaming answer."""
        return interactions.stop_stream(self, message)

    async def install_app(self, install_url: str) -> tuple[int, str]:
        """Add the app to the workspace by the app's own page: the status and the text of the last page."""
        return await install_app(self, install_url)

    # What they see.

    @property
    def private_messages(self) -> list[SlackMessageState]:
        """What the app showed to this person alone."""
        everywhere = (message for channel in self.team.channels.values() for message in channel.all_messages)
        mine = [message for message in everywhere if message.visible_to_user_id == self.id and not message.is_deleted]
        return sorted(mine, key=lambda message: float(message.ts))

    async def wait_for_private_message(
        self,
        text: str = "",
        *,
        after: SlackMessageState | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> SlackMessageState:
        """The app's first message to this person alone that shows `text`, now or soon."""

        def find() -> SlackMessageState | None:
            later = (one for one in self.private_messages if after is None or float(one.ts) > float(after.ts))
            return next((message for message in later if text in message.visible_text), None)

        return await self.team.slack.changes.wait_for(
            find, f"message to {self.name} alone with {text!r}", timeout_seconds
        )

    async def wait_for_notice(self, text: str = "", timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> str:
        """Slack's own words to this person, when the app did not answer."""

        def find() -> str | None:
            return next((notice for notice in self.notices if text in notice), None)

        return await self.team.slack.changes.wait_for(find, f"notice to {self.name} with {text!r}", timeout_seconds)

    async def wait_for_modal(
        self, title: str = "", *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> SlackViewState:
        """The modal in front of this person, now or soon, with `title` in its title."""

        def find() -> SlackViewState | None:
            view = self.team.slack.views.find_top(self)
            return view if view and title in view.title else None

        return await self.team.slack.changes.wait_for(find, f"modal {title!r} before {self.name}", timeout_seconds)

    @property
    def home(self) -> SlackViewState | None:
        """The app's Home tab, as published for this person."""
        return self.team.slack.views.homes.get(self)

    def to_json(self) -> Json:
        profile = {"display_name": self.name, "real_name": self.name}
        return {
            "id": self.id, "team_id": self.team.id, "name": self.name.lower(), "real_name": self.name,
            "deleted": False, "is_admin": self.is_admin or self.is_owner, "is_owner": self.is_owner,
            "is_primary_owner": False, "is_restricted": False, "is_ultra_restricted": False, "is_bot": False,
            "is_app_user": False, "tz": "Europe/Berlin", "tz_offset": 3600, "profile": profile,
        }  # fmt: skip
