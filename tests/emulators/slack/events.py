"""Events: which of them the app is subscribed to, and how they are wrapped."""

from typing import TYPE_CHECKING

from tests.emulators.slack.delivery import EVENTS, SlackDelivery
from tests.emulators.slack.messages import Json, SlackMessageState

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.workspace import SlackChannelState, SlackTeamState

_SUBSCRIPTIONS = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


class SlackEventSender:
    """Sends an event to the app if it is subscribed to it and installed there."""

    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack

    def send(self, team: "SlackTeamState", event: Json, *, subscription: str = "") -> SlackDelivery | None:
        if (subscription or event["type"]) not in self._slack.options.events:
            return None
        event = {"event_ts": self._slack.clock.next_timestamp(), **event}
        wrapped = {
            "token": "verification-token", "team_id": team.id, "context_team_id": team.id,
            "context_enterprise_id": None, "api_app_id": self._slack.app_id, "event": event,
            "type": "event_callback", "event_id": self._slack.ids.next("Ev"),
            "event_time": int(self._slack.clock.get_epoch_seconds()),
            "authorizations": [
                {"enterprise_id": None, "team_id": team.id, "user_id": team.bot_user_id, "is_bot": True,
                 "is_enterprise_install": False}
            ],
            "is_ext_shared_channel": False, "event_context": self._slack.ids.next("4-"),
        }  # fmt: skip
        return self._slack.delivery_service.send(EVENTS, wrapped)

    def send_message_posted(self, message: SlackMessageState) -> None:
        """A person's or the app's own new message: `message`, and `app_mention` when it calls the app."""
        channel, team = message.channel, message.channel.team
        if not channel.has_bot or (message.is_from_bot and not self._slack.options.echoes_own_messages):
            return
        told = message.to_json() | {"event_ts": message.ts}
        told |= {"user_team": team.id, "source_team": team.id} if not message.is_from_bot else {}
        if message.thread_ts and (root := channel.find_message(message.thread_ts)):
            told["parent_user_id"] = root.user_id
        event = told | {"channel": channel.id, "channel_type": channel.type}
        if message.files:
            event["subtype"] = "file_share"
        sent = [self.send(team, event, subscription=_SUBSCRIPTIONS[channel.type])]
        if team.mention in message.text and channel.type != "im" and not message.is_from_bot:
            sent.append(self.send(team, told | {"type": "app_mention", "channel": channel.id}))
        message.deliveries += [delivery for delivery in sent if delivery]

    def send_message_changed(self, message: SlackMessageState, before: Json) -> None:
        self._send_about_message(
            message.channel, {"subtype": "message_changed", "message": message.to_json()}, before, message
        )

    def send_message_deleted(self, message: SlackMessageState, before: Json) -> None:
        self._send_about_message(
            message.channel, {"subtype": "message_deleted", "deleted_ts": message.ts}, before, message
        )

    def _send_about_message(
        self, channel: "SlackChannelState", event: Json, before: Json, message: SlackMessageState
    ) -> None:
        if not channel.has_bot or (message.is_from_bot and not self._slack.options.echoes_own_messages):
            return
        place = {"type": "message", "hidden": True, "channel": channel.id, "channel_type": channel.type}
        stamp = {"ts": self._slack.clock.next_timestamp(), "previous_message": before}
        self.send(channel.team, {**place, **event, **stamp}, subscription=_SUBSCRIPTIONS[channel.type])
