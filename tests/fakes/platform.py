"""A platform that remembers everything it was asked to show: `Platform` worn for tests."""

from dataclasses import dataclass, field

from bot.core.clock import Clock
from bot.core.people import Channel
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import MessageRef, Reply


class UnlimitedPacer:
    """Every edit may go at once."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Now."""

    def close(self) -> None:
        """Nothing to leave."""


@dataclass
class ShownMessage:
    """One message, with everything it ever showed and when (seconds of the monotonic clock)."""

    ref: MessageRef
    destination: Destination
    history: list[Reply] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def reply(self) -> Reply:
        """What it shows now."""
        return self.history[-1]

    @property
    def text(self) -> str:
        return self.reply.text


class FakePlatform:
    """Keeps each message; equal nonces make one. Failures are what a test orders."""

    def __init__(self, name: str, clock: Clock, limits: MessageLimits | None = None) -> None:
        self.name = name
        self.limits = limits or MessageLimits(max_length=2_000)
        self.messages: dict[str, ShownMessage] = {}
        self._clock = clock
        self._lost: set[str] = set()
        self._is_closed = False
        self._failures: list[Exception] = []

    @property
    def last_message(self) -> ShownMessage:
        """The message posted last."""
        return list(self.messages.values())[-1]

    def will_lose(self, message: str | None = None) -> None:
        """That message is gone from now on; without one, nothing can be posted any more."""
        if message is None:
            self._is_closed = True
        else:
            self._lost.add(message)

    def will_fail(self, *errors: Exception) -> None:
        """The next posts and edits raise these, one each."""
        self._failures += errors

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        self._fail()
        if self._is_closed:
            raise MessageLost("I cannot post there: the channel is gone.")
        message = destination.placeholder.id if destination.placeholder is not None else destination.nonce
        if message not in self.messages:
            channel = destination.channel
            ref = MessageRef(self.name, channel.workspace, channel.id, channel.thread, message)
            self.messages[message] = ShownMessage(ref, destination)
            self._keep(message, reply)
        return self.messages[message].ref

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        self._fail()
        if message.id in self._lost or message.id not in self.messages:
            raise MessageLost("That message is gone.")
        if self.messages[message.id].reply != reply:
            self._keep(message.id, reply)

    async def delete(self, message: MessageRef) -> None:
        self._fail()
        self.messages.pop(message.id, None)

    def pacer(self, message: MessageRef) -> Pacer:
        return UnlimitedPacer()

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        return Channel(self.name, workspace, f"direct-{user}")

    def _keep(self, message: str, reply: Reply) -> None:
        self.messages[message].history.append(reply)
        self.messages[message].times.append(self._clock.monotonic())

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
