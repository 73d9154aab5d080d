"""What Slack sends to the app, over whichever wire, until it is acknowledged or given up."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tests.emulators.slack.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.slack.messages import Json

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator

EVENTS, COMMANDS, INTERACTIVE = "events_api", "slash_commands", "interactive"


@dataclass(frozen=True)
class SlackDeliveryAttempt:
    """What came back for one attempt. `reason` says why it failed, in Slack's words; empty when it did not."""

    duration_seconds: float
    failure_reason: str = ""
    payload: Any = None
    is_final: bool = False
    """The app asked not to be tried again."""


class SlackTransport(Protocol):
    async def deliver(self, delivery: "SlackDelivery", retry: int, reason: str) -> SlackDeliveryAttempt: ...


@dataclass(eq=False)
class SlackDelivery:
    """One payload on its way. `answers` has one entry for each attempt; `is_over` when nothing more will come."""

    slack: "SlackEmulator"
    kind: str
    payload: Json
    attempts: list[SlackDeliveryAttempt] = field(default_factory=list)
    is_finished: bool = False

    @property
    def label(self) -> str:
        """What it is, in a few words."""
        payload = self.payload
        if self.kind == EVENTS:
            return f"the event {payload['event']['type']} {payload['event_id']}"
        return str(payload.get("command") or f"the {payload['type']}")

    @property
    def is_acknowledged(self) -> bool:
        return any(not answer.failure_reason for answer in self.attempts)

    @property
    def acknowledgement_seconds(self) -> float:
        """How long the acknowledgement took, of the attempt that was acknowledged."""
        return next(answer.duration_seconds for answer in self.attempts if not answer.failure_reason)

    @property
    def response(self) -> Any:
        """What the app put into its acknowledgement: None, or JSON."""
        return next((answer.payload for answer in self.attempts if not answer.failure_reason), None)

    async def wait_for_acknowledgement(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackDelivery":
        """When the app has acknowledged it. An AssertionError when it is over without that."""
        await self.wait_until_finished(timeout_seconds)
        assert self.is_acknowledged, (
            f"{self.label} was not acknowledged: {[answer.failure_reason for answer in self.attempts]}"
        )
        return self

    async def wait_until_finished(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackDelivery":
        """When it is acknowledged or given up."""
        await self.slack.changes.wait_for(
            lambda: self.is_finished, f"end of the delivery of {self.label}", timeout_seconds
        )
        return self

    def resend(self) -> "SlackDelivery":
        """The very same payload once more, as Slack does when an acknowledgement got lost."""
        return self.slack.delivery_service.send(self.kind, self.payload, retry=1, reason="timeout")


class SlackDeliveryService:
    """Sends deliveries, and events again when they are not acknowledged in time."""

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
        """Commands and presses are never sent again: the person sees that it failed."""
        answer = await self._slack.transport.deliver(delivery, 0, "")
        if answer.failure_reason == "timeout":
            ack = self._slack.options.lifetimes.acknowledgement_seconds
            self._slack.request_log.record_violation(f"{delivery.label} was not acknowledged within {ack:g} s.")
        self._finish(delivery, answer)

    async def _deliver_event(self, delivery: SlackDelivery, retry: int, reason: str) -> None:
        delays = iter(self._slack.options.lifetimes.retry_delays_seconds)
        while True:
            answer = await self._slack.transport.deliver(delivery, retry, reason)
            if not answer.failure_reason or answer.is_final or (delay := next(delays, None)) is None:
                break
            delivery.attempts.append(answer)
            self._slack.changes.notify()
            retry, reason = retry + 1, answer.failure_reason
            await self._slack.clock.sleep(delay)
        if answer.failure_reason == "timeout":
            self._slack.request_log.record_violation(f"{delivery.label} was never acknowledged.")
        self._finish(delivery, answer)

    def _finish(self, delivery: SlackDelivery, answer: SlackDeliveryAttempt) -> None:
        delivery.attempts.append(answer)
        delivery.is_finished = True
        self._slack.changes.notify()
