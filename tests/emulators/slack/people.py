"""People in a workspace: commands, messages, buttons and forms, and the messages and modals they see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.slack import interactions
from tests.emulators.slack.delivery import COMMANDS, SlackDelivery
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.oauth import install_app
from tests.emulators.slack.views import SlackViewState

if TYPE_CHECKING:
    from tests.emulators.slack.state import SlackChannelState, SlackTeamState, SlackThreadState


@dataclass(eq=False)
class SlackPerson:
    """A person in a workspace. `notices` are Slack's own messages to the person about failures of the app."""

    team: "SlackTeamState"
    id: str
    name: str
    is_admin: bool = False
    is_owner: bool = False
    locale: str = "en-US"
    notices: list[str] = field(default_factory=list)
    viewed: list[Json] = field(default_factory=list)
    """The entities of the place that is open beside the app's messages, the most relevant first."""

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def escaped_mention(self) -> str:
        """Return the mention as Slack writes mentions into a command's text with `should_escape`."""
        return f"<@{self.id}|{self.name.lower()}>"

    @property
    def direct_channel(self) -> "SlackChannelState":
        """Return the person's DM with the app."""
        return self.team.open_direct_channel(self.id)

    # Actions. Each returns while the delivery is under way; await `wait_for_acknowledgement()` for the app's response.

    async def use_command(
        self, command: str, text: str = "", channel: "SlackChannelState | None" = None
    ) -> SlackDelivery:
        """Type a command, by default in the DM. Slack has no commands in threads."""
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
        """Post to a channel, a thread, or by default the DM. `text` is already escaped as by Slack."""
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

    async def share(
        self,
        message: SlackMessageState,
        channel: "SlackChannelState | None" = None,
        text: str = "",
        *,
        thread: "SlackMessageState | None" = None,
    ) -> SlackMessageState:
        """Share a message into a channel, by default the DM, with words of one's own. The copy is an attachment."""
        channel = channel or (thread.channel if thread else self.direct_channel)
        author = self.team.people.get(message.user_id)
        original = message.to_json()
        attachment: Json = {
            "ts": message.ts, "channel_id": message.channel.id, "channel_team": self.team.id, "is_msg_unfurl": True,
            "is_share": True, "author_id": message.user_id, "author_name": author.name if author else "Monitor",
            "from_url": f"https://{self.team.domain}.slack.com/archives/{message.channel.id}/p{message.ts}",
            "text": message.text, "fallback": message.text or "[no preview available]", "footer": "Posted in a channel",
            "files": original.get("files", []),
            "message_blocks": [
                {"team": self.team.id, "channel": message.channel.id, "ts": message.ts,
                 "message": {"blocks": original.get("blocks", [])}}
            ],
        }  # fmt: skip
        root = thread.thread_ts or thread.ts if thread else None
        ts = self.team.slack.clock.next_timestamp()
        shared = SlackMessageState(channel, ts, self.id, text, thread_ts=root, attachments=[attachment])
        for file in message.files:
            file.share(shared)
        channel.add_message(shared)
        self.team.slack.event_sender.send_message_posted(shared)
        return shared

    async def edit(self, message: SlackMessageState, text: str) -> None:
        """Edit an own message."""
        before = message.to_json()
        message.text, message.edited_at = text, self.team.slack.clock.next_timestamp()
        message.record_version(self.team.slack.clock.now())
        self.team.slack.event_sender.send_message_changed(message, before)

    async def press(self, container: SlackMessageState | SlackViewState, label: str) -> SlackDelivery:
        """Press the button with this label or action id, in a message or a modal."""
        return interactions.perform_action(self, container, label, None)

    async def choose(self, container: SlackMessageState | SlackViewState, label: str, value: Any) -> SlackDelivery:
        """Choose an option by value or text; for an external menu, pass an option from `fetch_suggestions`."""
        return interactions.perform_action(self, container, label, value)

    async def fetch_suggestions(
        self, container: SlackMessageState | SlackViewState, label: str, typed: str = ""
    ) -> list[Json]:
        """Return the options of an external menu for typed text."""
        return await interactions.fetch_suggestions(self, container, label, typed)

    async def use_message_shortcut(self, callback_id: str, message: SlackMessageState) -> SlackDelivery:
        """Use a message shortcut; unlike commands, shortcuts work in threads."""
        return interactions.use_message_shortcut(self, callback_id, message)

    async def use_global_shortcut(self, callback_id: str) -> SlackDelivery:
        return interactions.use_global_shortcut(self, callback_id)

    async def submit(self, view: SlackViewState, values: Mapping[str, Any] | None = None) -> SlackDelivery:
        """Fill in a form (by label, action id or block id), submit, and wait for the app's response.

        Then `view.errors` has the app's errors, and `view.is_open` is False if the form was accepted.
        """
        return await interactions.submit_view(self, view, values or {})

    async def close_modal(self, view: SlackViewState) -> SlackDelivery | None:
        """Close a modal; the app receives view_closed only with `notify_on_close`."""
        return interactions.close_view(self, view)

    async def open_app_home(self, tab: str = "messages") -> SlackDelivery | None:
        """Open the app's tab `messages` or `home`."""
        home = self.team.slack.views.homes.get(self)
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": self.direct_channel.id, "tab": tab}
        event |= {"view": home.to_json()} if home else {}
        return self.team.slack.event_sender.send(self.team, event | self.get_app_context("context"))

    def open_beside(
        self, channel: "SlackChannelState", *, thread: SlackMessageState | None = None, canvas: str = ""
    ) -> None:
        """Open a channel, and a thread or canvas in it, beside the app's messages."""
        entities: list[tuple[str, Any]] = [("canvas_id", canvas)] if canvas else []
        if thread is not None:
            entities.append(("message_context", {"channel_id": channel.id, "message_ts": thread.ts}))
        entities.append(("channel_id", channel.id))
        self.viewed = [
            {"type": f"slack#/types/{name}", "value": value, "team_id": self.team.id} for name, value in entities
        ]
        event = {"type": "app_context_changed", "user": self.id, "channel": self.direct_channel.id}
        self.team.slack.event_sender.send(self.team, event | self.get_app_context("context"))

    def get_app_context(self, field_name: str) -> Json:
        """Return the field of events with the open place; nothing for an app that does not subscribe to changes."""
        is_told = bool(self.viewed) and "app_context_changed" in self.team.slack.options.events
        return {field_name: {"entities": self.viewed}} if is_told else {}

    async def stop_stream(self, message: SlackMessageState) -> SlackDelivery | None:
        """Press Slack's Stop button below a streamed message."""
        return interactions.stop_stream(self, message)

    async def install_app(self, install_url: str) -> tuple[int, str]:
        """Install the app from its install page; return status and text of the last page."""
        return await install_app(self, install_url)

    # Observations.

    @property
    def private_messages(self) -> list[SlackMessageState]:
        """Return the messages that only this person sees."""
        everywhere = (message for channel in self.team.channels.values() for message in channel.all_messages)
        messages = [
            message for message in everywhere if message.visible_to_user_id == self.id and not message.is_deleted
        ]
        return sorted(messages, key=lambda message: float(message.ts))

    async def wait_for_private_message(
        self,
        text: str = "",
        *,
        after: SlackMessageState | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> SlackMessageState:
        """Return the first message only for this person that contains `text`, waiting if necessary."""

        def find() -> SlackMessageState | None:
            later = (one for one in self.private_messages if after is None or float(one.ts) > float(after.ts))
            return next((message for message in later if text in message.visible_text), None)

        return await self.team.slack.changes.wait_for(
            find, f"a message to {self.name} alone with {text!r}", timeout_seconds
        )

    async def wait_for_notice(self, text: str = "", timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> str:
        """Return Slack's notice about a failure of the app, waiting if necessary."""

        def find() -> str | None:
            return next((notice for notice in self.notices if text in notice), None)

        return await self.team.slack.changes.wait_for(find, f"a notice to {self.name} with {text!r}", timeout_seconds)

    async def wait_for_modal(
        self, title: str = "", *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> SlackViewState:
        """Return the open modal with `title` in the title, waiting if necessary."""

        def find() -> SlackViewState | None:
            view = self.team.slack.views.find_top(self)
            return view if view and title in view.title else None

        return await self.team.slack.changes.wait_for(find, f"the modal {title!r} before {self.name}", timeout_seconds)

    @property
    def home(self) -> SlackViewState | None:
        """Return the app's Home tab as published for this person."""
        return self.team.slack.views.homes.get(self)

    def to_json(self) -> Json:
        profile = {"display_name": self.name, "real_name": self.name}
        return {
            "id": self.id, "team_id": self.team.id, "name": self.name.lower(), "real_name": self.name,
            "deleted": False, "is_admin": self.is_admin or self.is_owner, "is_owner": self.is_owner,
            "is_primary_owner": False, "is_restricted": False, "is_ultra_restricted": False, "is_bot": False,
            "is_app_user": False, "tz": "Europe/Berlin", "tz_offset": 3600, "profile": profile,
        }  # fmt: skip
