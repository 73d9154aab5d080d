"""Sends events, commands and interactions to the app until each is acknowledged or given up."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.slack.messages import Json, SlackMessageState

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.state import SlackChannelState, SlackTeamState


EVENTS, COMMANDS, INTERACTIVE = "events_api", "slash_commands", "interactive"


@dataclass(frozen=True)
class SlackDeliveryAttempt:
    """The result of an attempt. `failure_reason` is Slack's word for a failure, empty after a success."""

    duration_seconds: float
    failure_reason: str = ""
    payload: Any = None
    is_final: bool = False
    """The app requested no further attempts."""


class SlackTransport(Protocol):
    async def deliver(self, delivery: "SlackDelivery", retry: int, reason: str) -> SlackDeliveryAttempt: ...


@dataclass(eq=False)
class SlackDelivery:
    """A payload and its attempts. `is_finished` is True once no attempt will follow."""

    slack: "SlackEmulator"
    kind: str
    payload: Json
    attempts: list[SlackDeliveryAttempt] = field(default_factory=list)
    is_finished: bool = False

    @property
    def label(self) -> str:
        """Return a short description for messages."""
        payload = self.payload
        if self.kind == EVENTS:
            return f"the event {payload['event']['type']} {payload['event_id']}"
        return str(payload.get("command") or f"the {payload['type']}")

    @property
    def is_acknowledged(self) -> bool:
        return any(not attempt.failure_reason for attempt in self.attempts)

    @property
    def acknowledgement_seconds(self) -> float:
        """Return the seconds until the acknowledgement, counted from the successful attempt."""
        return next(attempt.duration_seconds for attempt in self.attempts if not attempt.failure_reason)

    @property
    def response(self) -> Any:
        """Return the payload of the app's acknowledgement: JSON or None."""
        return next((attempt.payload for attempt in self.attempts if not attempt.failure_reason), None)

    async def wait_for_acknowledgement(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackDelivery":
        """Wait for the acknowledgement. Raise AssertionError if the delivery ends without."""
        await self.wait_until_finished(timeout_seconds)
        assert self.is_acknowledged, (
            f"{self.label} was not acknowledged: {[answer.failure_reason for answer in self.attempts]}"
        )
        return self

    async def wait_until_finished(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackDelivery":
        """Wait until the delivery is acknowledged or given up."""
        await self.slack.changes.wait_for(
            lambda: self.is_finished, f"the end of the delivery of {self.label}", timeout_seconds
        )
        return self

    def resend(self) -> "SlackDelivery":
        """Send the same payload again, as Slack does after a lost acknowledgement."""
        return self.slack.delivery_service.send(self.kind, self.payload, retry=1, reason="timeout")


class SlackDeliveryService:
    """Sends deliveries, and retries events that are not acknowledged in time."""

    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: list[SlackDelivery] = []

    def send(self, kind: str, payload: Json, *, retry: int = 0, reason: str = "") -> SlackDelivery:
        delivery = SlackDelivery(self._slack, kind, payload)
        self.deliveries.append(delivery)
        work = self._deliver_event(delivery, retry, reason) if kind == EVENTS else self._deliver_once(delivery)
        self.spawn(work)
        return delivery

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver_once(self, delivery: SlackDelivery) -> None:
        """Deliver a command or interaction. Slack never retries these: the person sees a failure notice."""
        attempt = await self._slack.transport.deliver(delivery, 0, "")
        if attempt.failure_reason == "timeout":
            ack = self._slack.options.lifetimes.acknowledgement_seconds
            self._slack.request_log.record_violation(f"{delivery.label} was not acknowledged within {ack:g} s.")
        self._finish(delivery, attempt)

    async def _deliver_event(self, delivery: SlackDelivery, retry: int, reason: str) -> None:
        delays = iter(self._slack.options.lifetimes.retry_delays_seconds)
        while True:
            attempt = await self._slack.transport.deliver(delivery, retry, reason)
            if not attempt.failure_reason or attempt.is_final or (delay := next(delays, None)) is None:
                break
            delivery.attempts.append(attempt)
            self._slack.changes.notify()
            retry, reason = retry + 1, attempt.failure_reason
            await self._slack.clock.sleep(delay)
        if attempt.failure_reason == "timeout":
            self._slack.request_log.record_violation(f"{delivery.label} was never acknowledged.")
        self._finish(delivery, attempt)

    def _finish(self, delivery: SlackDelivery, attempt: SlackDeliveryAttempt) -> None:
        delivery.attempts.append(attempt)
        delivery.is_finished = True
        self._slack.changes.notify()


_SUBSCRIPTIONS = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


class SlackEventSender:
    """Wraps events and sends them to the app if subscribed and installed."""

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
        """Send `message` for a new message of a person or the app, and `app_mention` if a person mentions the app."""
        channel, team = message.channel, message.channel.team
        if not channel.has_bot or (message.is_from_bot and not self._slack.options.echoes_own_messages):
            return
        payload = message.to_json() | {"event_ts": message.ts}
        payload |= {"user_team": team.id, "source_team": team.id} if not message.is_from_bot else {}
        if message.thread_ts and (root := channel.find_message(message.thread_ts)):
            payload["parent_user_id"] = root.user_id
        event = payload | {"channel": channel.id, "channel_type": channel.type}
        if message.files:
            event["subtype"] = "file_share"
        if channel.type == "im" and (author := team.people.get(message.user_id)):
            event |= author.get_app_context("app_context")
        deliveries = [self.send(team, event, subscription=_SUBSCRIPTIONS[channel.type])]
        if team.mention in message.text and channel.type != "im" and not message.is_from_bot:
            deliveries.append(self.send(team, payload | {"type": "app_mention", "channel": channel.id}))
        message.deliveries += [delivery for delivery in deliveries if delivery]

    def send_message_changed(self, message: SlackMessageState, before: Json) -> None:
        """Send `message_changed`, and for a mention of the app `app_mention` with `edited`: slackapi/bolt-js#960."""
        self._send_about_message(
            message.channel, {"subtype": "message_changed", "message": message.to_json()}, before, message
        )
        channel, team = message.channel, message.channel.team
        if channel.has_bot and team.mention in message.text and channel.type != "im" and not message.is_from_bot:
            self.send(team, message.to_json() | {"type": "app_mention", "channel": channel.id})

    def send_message_deleted(self, message: SlackMessageState, before: Json) -> None:
        self._send_about_message(
            message.channel, {"subtype": "message_deleted", "deleted_ts": message.ts}, before, message
        )

    def _send_about_message(
        self, channel: "SlackChannelState", event: Json, before: Json, message: SlackMessageState
    ) -> None:
        if not channel.has_bot or (message.is_from_bot and not self._slack.options.echoes_own_messages):
            return
        location = {"type": "message", "hidden": True, "channel": channel.id, "channel_type": channel.type}
        stamp = {"ts": self._slack.clock.next_timestamp(), "previous_message": before}
        self.send(channel.team, {**location, **event, **stamp}, subscription=_SUBSCRIPTIONS[channel.type])
