"""Events: which of them the app is subscribed to, and how they are wrapped."""

from typing import TYPE_CHECKING

from tests.emulators.slack.delivery import EVENTS, Delivery
from tests.emulators.slack.messages import Json, Message

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.workspace import Channel, Team

_SUBSCRIPTIONS = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


class Events:
    """Sends an event to the app if it is subscribed to it and installed there."""

    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack

    def send(self, team: "Team", event: Json, *, subscription: str = "") -> Delivery | None:
        if (subscription or event["type"]) not in self._slack.options.events:
            return None
        event = {"event_ts": self._slack.clock.stamp(), **event}
        wrapped = {
            "token": "verification-token", "team_id": team.id, "context_team_id": team.id,
            "context_enterprise_id": None, "api_app_id": self._slack.app_id, "event": event,
            "type": "event_callback", "event_id": self._slack.ids.next("Ev"),
            "event_time": int(self._slack.clock.epoch()),
            "authorizations": [
                {"enterprise_id": None, "team_id": team.id, "user_id": team.bot_user, "is_bot": True,
                 "is_enterprise_install": False}
            ],
            "is_ext_shared_channel": False, "event_context": self._slack.ids.next("4-"),
        }  # fmt: skip
        return self._slack.post_office.send(EVENTS, wrapped)

    def message(self, message: Message) -> None:
        """A person's or the app's own new message: `message`, and `app_mention` when it calls the app."""
        channel, team = message.channel, message.channel.team
        if not channel.has_bot or (message.is_of_bot and not self._slack.options.echo):
            return
        told = message.as_json() | {"event_ts": message.ts}
        told |= {"user_team": team.id, "source_team": team.id} if not message.is_of_bot else {}
        if message.thread_ts and (root := channel.find(message.thread_ts)):
            told["parent_user_id"] = root.user
        event = told | {"channel": channel.id, "channel_type": channel.type}
        if message.files:
            event["subtype"] = "file_share"
        sent = [self.send(team, event, subscription=_SUBSCRIPTIONS[channel.type])]
        if team.mention in message.text and channel.type != "im" and not message.is_of_bot:
            sent.append(self.send(team, told | {"type": "app_mention", "channel": channel.id}))
        message.deliveries += [delivery for delivery in sent if delivery]

    def changed(self, message: Message, before: Json) -> None:
        self._about(message.channel, {"subtype": "message_changed", "message": message.as_json()}, before, message)

    def deleted(self, message: Message, before: Json) -> None:
        self._about(message.channel, {"subtype": "message_deleted", "deleted_ts": message.ts}, before, message)

    def _about(self, channel: "Channel", event: Json, before: Json, message: Message) -> None:
        if not channel.has_bot or (message.is_of_bot and not self._slack.options.echo):
            return
        place = {"type": "message", "hidden": True, "channel": channel.id, "channel_type": channel.type}
        stamp = {"ts": self._slack.clock.stamp(), "previous_message": before}
        self.send(channel.team, {**place, **event, **stamp}, subscription=_SUBSCRIPTIONS[channel.type])
