"""What Slack sends to the app, over whichever wire, until it is acknowledged or given up."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tests.emulators.slack.changes import PATIENCE_SECONDS
from tests.emulators.slack.messages import Json

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator

EVENTS, COMMANDS, INTERACTIVE = "events_api", "slash_commands", "interactive"


@dataclass(frozen=True)
class Answer:
    """What came back for one attempt. `reason` says why it failed, in Slack's words; empty when it did not."""

    seconds: float
    reason: str = ""
    payload: Any = None
    is_final: bool = False
    """The app asked not to be tried again."""


class Wire(Protocol):
    async def carry(self, delivery: "Delivery", retry: int, reason: str) -> Answer: ...


@dataclass(eq=False)
class Delivery:
    """One payload on its way. `answers` has one entry for each attempt; `is_over` when nothing more will come."""

    slack: "SlackEmulator"
    kind: str
    payload: Json
    answers: list[Answer] = field(default_factory=list)
    is_over: bool = False

    @property
    def label(self) -> str:
        """What it is, in a few words."""
        payload = self.payload
        if self.kind == EVENTS:
            return f"the event {payload['event']['type']} {payload['event_id']}"
        return str(payload.get("command") or f"the {payload['type']}")

    @property
    def is_acked(self) -> bool:
        return any(not answer.reason for answer in self.answers)

    @property
    def seconds(self) -> float:
        """How long the acknowledgement took, of the attempt that was acknowledged."""
        return next(answer.seconds for answer in self.answers if not answer.reason)

    @property
    def response(self) -> Any:
        """What the app put into its acknowledgement: None, or JSON."""
        return next((answer.payload for answer in self.answers if not answer.reason), None)

    async def acked(self, patience: float = PATIENCE_SECONDS) -> "Delivery":
        """When the app has acknowledged it. An AssertionError when it is over without that."""
        await self.over(patience)
        assert self.is_acked, f"{self.label} was not acknowledged: {[answer.reason for answer in self.answers]}"
        return self

    async def over(self, patience: float = PATIENCE_SECONDS) -> "Delivery":
        """When it is acknowledged or given up."""
        await self.slack.changes.until(lambda: self.is_over, f"end of the delivery of {self.label}", patience)
        return self

    def again(self) -> "Delivery":
        """The very same payload once more, as Slack does when an acknowledgement got lost."""
        return self.slack.post_office.send(self.kind, self.payload, retry=1, reason="timeout")


class PostOffice:
    """Sends deliveries, and events again when they are not acknowledged in time."""

    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: list[Delivery] = []

    def send(self, kind: str, payload: Json, *, retry: int = 0, reason: str = "") -> Delivery:
        delivery = Delivery(self._slack, kind, payload)
        self.deliveries.append(delivery)
        work = self._carry_event(delivery, retry, reason) if kind == EVENTS else self._carry_once(delivery)
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

    async def _carry_once(self, delivery: Delivery) -> None:
        """Commands and presses are never sent again: the person sees that it failed."""
        answer = await self._slack.wire.carry(delivery, 0, "")
        if answer.reason == "timeout":
            ack = self._slack.options.lifetimes.ack
            self._slack.journal.violated(f"{delivery.label} was not acknowledged within {ack:g} s.")
        self._settle(delivery, answer)

    async def _carry_event(self, delivery: Delivery, retry: int, reason: str) -> None:
        delays = iter(self._slack.options.lifetimes.retries)
        while True:
            answer = await self._slack.wire.carry(delivery, retry, reason)
            if not answer.reason or answer.is_final or (delay := next(delays, None)) is None:
                break
            delivery.answers.append(answer)
            self._slack.changes.happened()
            retry, reason = retry + 1, answer.reason
            await self._slack.clock.sleep(delay)
        if answer.reason == "timeout":
            self._slack.journal.violated(f"{delivery.label} was never acknowledged.")
        self._settle(delivery, answer)

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        delivery.answers.append(answer)
        delivery.is_over = True
        self._slack.changes.happened()
