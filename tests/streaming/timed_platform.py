"""A platform with a round trip, scripted failures and a pace, which records the versions of each message."""

from collections import deque
from dataclasses import dataclass, field

from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLimits, Pacer
from bot.core.replies import MessageRef, Reply
from bot.streaming.pacer import EditBucket
from tests.fakes.clock import ManualClock

DESTINATION = Destination(
    user=User("fake", "team", "ann", "Ann"),
    channel=Channel("fake", "team", "general"),
    request_key="fake:1",
    nonce="job1:0",
)


class Unpaced(Pacer):
    """A pacer without a shared limit: seconds between ordinary edits, no wait before a final edit."""

    def __init__(self, clock: ManualClock, gap: float = 0.03) -> None:
        self._clock = clock
        self._gap = gap
        self._last = float("-inf")

    async def wait_for_edit(self, *, is_final: bool) -> None:
        wait = self._last + self._gap - self._clock.monotonic()
        if wait > 0 and not is_final:
            await self._clock.sleep(wait)
        self._last = self._clock.monotonic()

    def close(self) -> None:
        """No bucket is shared."""


@dataclass
class TimedPlatform:
    """`events` is every post and edit as (time visible, message id, reply), in order."""

    clock: ManualClock
    limits: MessageLimits = field(default_factory=lambda: MessageLimits(200))
    name: str = "fake"
    seconds_there: float = 0.0
    seconds_back: float = 0.0
    bucket: EditBucket | None = None
    failures: deque[Exception] = field(default_factory=deque)
    events: list[tuple[float, str, Reply]] = field(default_factory=list)
    destinations: list[Destination] = field(default_factory=list)
    in_flight: int = 0
    max_in_flight: int = 0

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        self.destinations.append(destination)
        ref = MessageRef("fake", "team", "general", "", f"m{len(self.destinations)}")
        await self._travel(ref, reply)
        return ref

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        await self._travel(message, reply)

    async def delete(self, message: MessageRef) -> None:
        """Streaming deletes no message."""

    def pacer(self, message: MessageRef) -> Pacer:
        return self.bucket.pacer() if self.bucket is not None else Unpaced(self.clock)

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        return None

    def is_direct_channel(self, channel: Channel) -> bool:
        return False

    async def is_private_thread(self, channel: Channel) -> bool:
        return False

    async def _travel(self, message: MessageRef, reply: Reply) -> None:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self.seconds_there:
                await self.clock.sleep(self.seconds_there)
            if self.failures:
                raise self.failures.popleft()
            self.events.append((self.clock.monotonic(), message.id, reply))
            if self.seconds_back:
                await self.clock.sleep(self.seconds_back)
        finally:
            self.in_flight -= 1

    @property
    def replies(self) -> dict[str, Reply]:
        """Return the latest version of each message."""
        return {message: reply for _, message, reply in self.events}

    @property
    def text(self) -> str:
        return "".join(reply.text for reply in self.replies.values())
