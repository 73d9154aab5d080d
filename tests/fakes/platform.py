"""A platform with a full memory of its messages; implements `core.platform.Platform`."""

from dataclasses import dataclass, field

from bot.core.clock import Clock
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import MessageRef, Reply


class UnlimitedPacer:
    """Lets every edit go at once."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class ShownMessage:
    """A message with all replies ever shown, and the times of each in seconds of the monotonic clock."""

    ref: MessageRef
    destination: Destination
    history: list[Reply] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def reply(self) -> Reply:
        """The reply shown now."""
        return self.history[-1]

    @property
    def text(self) -> str:
        return self.reply.text


class FakePlatform:
    """Keeps all messages, one per nonce. Posts and edits fail as the test orders."""

    def __init__(self, name: str, clock: Clock, limits: MessageLimits | None = None) -> None:
        self.name = name
        self.limits = limits or MessageLimits(max_length=2_000)
        self.messages: dict[str, ShownMessage] = {}
        self.private_threads: set[str] = set()
        self._clock = clock
        self._lost: set[str] = set()
        self._is_closed = False
        self._failures: list[Exception] = []

    @property
    def last_message(self) -> ShownMessage:
        """The message posted last."""
        return list(self.messages.values())[-1]

    def list_messages_of(self, user: User) -> list[ShownMessage]:
        """Return the messages for the requests of a user, oldest first."""
        return [message for message in self.messages.values() if message.destination.user == user]

    def will_lose(self, message: str | None = None) -> None:
        """Lose a message from now on; without an id, refuse all posts."""
        if message is None:
            self._is_closed = True
        else:
            self._lost.add(message)

    def will_fail(self, *errors: Exception) -> None:
        """Let the next posts and edits raise these errors, in order."""
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

    def is_direct_channel(self, channel: Channel) -> bool:
        return channel.id.startswith("direct-")

    async def is_private_thread(self, channel: Channel) -> bool:
        return channel.thread in self.private_threads

    def _keep(self, message: str, reply: Reply) -> None:
        self.messages[message].history.append(reply)
        self.messages[message].times.append(self._clock.monotonic())

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
