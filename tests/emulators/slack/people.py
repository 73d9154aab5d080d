"""People: what they type and press, and what they see."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulators.slack.changes import PATIENCE_SECONDS
from tests.emulators.slack.delivery import COMMANDS, INTERACTIVE, Delivery
from tests.emulators.slack.messages import Json, Message

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
    def dm(self) -> "Channel":
        """Their DM with the app."""
        return self.team.dm(self.id)

    # What they do.

    async def slash(self, command: str, text: str = "", channel: "Channel | None" = None) -> Delivery:
        """Type a command; without a channel, in the DM. It is on its way when this returns."""
        channel, slack = channel or self.dm, self.team.slack
        payload = {
            "token": "verification-token", "team_id": self.team.id, "team_domain": self.team.domain,
            "channel_id": channel.id, "channel_name": channel.name, "user_id": self.id,
            "user_name": self.name.lower(), "command": command, "text": text, "api_app_id": slack.app_id,
            "is_enterprise_install": "false", "response_url": slack.response_urls.issue(self, channel),
            "trigger_id": slack.triggers.issue(self),
        }  # fmt: skip
        delivery = slack.post_office.send(COMMANDS, payload)
        slack.post_office.spawn(self._see_command(delivery, channel))
        return delivery

    async def say(
        self,
        text: str,
        channel: "Channel | None" = None,
        *,
        thread: "Message | Thread | None" = None,
    ) -> Message:
        """Post a message, to the channel, a thread in it, or without either the DM. `text` is as Slack escapes it."""
        channel = channel or (thread.channel if thread else self.dm)
        root = (getattr(thread, "thread_ts", None) or thread.ts) if thread else None
        message = Message(channel, self.team.slack.clock.stamp(), self.id, text, thread_ts=root)
        channel.add(message)
        self.team.slack.events.message(message)
        return message

    async def press(self, message: Message, which: str) -> Delivery:
        """Press the button with that label or action id."""
        element = _find(message, which)
        assert not message.is_deleted, "this message is gone"
        channel, slack = message.channel, self.team.slack
        container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
        container |= {"is_ephemeral": message.only_for is not None}
        container |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
        payload: Json = {
            **self._interaction("block_actions"),
            "container": container,
            "channel": {"id": channel.id, "name": channel.name},
            "response_url": slack.response_urls.issue(self, channel, message),
            "state": {"values": {}},
            "actions": [self._action(element)],
        }
        if not message.only_for:
            payload["message"] = message.as_json()
        return self._interact(payload)

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

    # How it is told to the app.

    def _interaction(self, kind: str) -> Json:
        slack = self.team.slack
        return {
            "type": kind,
            "user": {"id": self.id, "username": self.name.lower(), "name": self.name.lower(), "team_id": self.team.id},
            "api_app_id": slack.app_id,
            "token": "verification-token",
            "trigger_id": slack.triggers.issue(self),
            "team": {"id": self.team.id, "domain": self.team.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _action(self, element: Json) -> Json:
        told = {name: element[name] for name in ("action_id", "type", "value", "text") if name in element}
        stamp = self.team.slack.clock.stamp()
        return {"block_id": element.get("block_id", "block"), "action_ts": stamp, **told}

    def _interact(self, payload: Json) -> Delivery:
        slack = self.team.slack
        delivery = slack.post_office.send(INTERACTIVE, payload)
        slack.post_office.spawn(self._see_interaction(delivery))
        return delivery

    async def _see_command(self, delivery: Delivery, channel: "Channel") -> None:
        await self._see_interaction(delivery)
        if delivery.is_acked and delivery.response:
            self.team.slack.response_urls.put_acknowledgement(self, channel, delivery.response)

    async def _see_interaction(self, delivery: Delivery) -> None:
        await delivery.over(patience=3600.0)
        if not delivery.is_acked:
            reason = delivery.answers[-1].reason
            error = "operation_timeout" if reason == "timeout" else "dispatch_failed"
            self.notices.append(f'{delivery.label} failed with the error "{error}"')
            self.team.slack.changes.happened()


def _find(message: Message, which: str) -> Json:
    for element in message.elements:
        label = element.get("text", {}).get("text", "")
        if which in (label, element.get("action_id")):
            return element
    raise AssertionError(f"there is no button {which!r}, only {message.buttons}")
