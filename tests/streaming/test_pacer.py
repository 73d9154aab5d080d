"""The pace of edits: within the limit, fair, and quick at the end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.streaming.pacer import BucketPacer, EditBucket
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def channel(clock: ManualClock) -> EditBucket:
    return EditBucket(clock, limit=5, window_seconds=5, spacing_factor=1.1)


def interaction(clock: ManualClock) -> EditBucket:
    return EditBucket(clock, limit=5, window_seconds=2, reserved=1)


@dataclass
class DiscordWindow:
    """The platform's limit: a fixed window that begins with its first request."""

    clock: ManualClock
    limit: int
    window: float
    used: int = 0
    ends_at: float = float("-inf")
    refusals: int = 0
    arrivals: list[float] = field(default_factory=list)

    def take(self) -> tuple[int, float]:
        now = self.clock.monotonic()
        if now >= self.ends_at:
            self.used, self.ends_at = 0, now + self.window
        self.used += 1
        self.refusals += self.used > self.limit
        self.arrivals.append(now)
        return max(0, self.limit - self.used), self.ends_at - now


async def edit_on_and_on(pacer: BucketPacer, write: Callable[[], Awaitable[None]]) -> None:
    while True:
        await pacer.wait_for_edit(is_final=False)
        await write()


async def cancel_tasks(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def record_edit_times(clock: ManualClock, bucket: EditBucket, seconds: float, *, reports: bool) -> list[float]:
    """Return the times of edits of one message with ever new text; a round trip takes 80 ms."""
    discord = DiscordWindow(clock, bucket._limit, bucket._window)
    at: list[float] = []

    async def write() -> None:
        at.append(clock.monotonic())
        await clock.sleep(0.04)
        remaining, reset_after = discord.take()
        await clock.sleep(0.04)
        if reports:
            bucket.update(remaining=remaining, reset_after_seconds=reset_after)

    task = asyncio.create_task(edit_on_and_on(bucket.pacer(), write))
    await clock.advance(seconds)
    await cancel_tasks(task)
    assert discord.refusals == 0
    return at


@pytest.mark.parametrize("reports", [True, False])
async def test_a_channel_takes_the_first_edit_at_once_and_then_one_each_1_1_seconds(
    clock: ManualClock, reports: bool
) -> None:
    at = await record_edit_times(clock, channel(clock), 12, reports=reports)

    assert at[0] == 0
    assert [round(later - earlier, 2) for earlier, later in pairwise(at)] == [1.1] * 10


@pytest.mark.parametrize("reports", [True, False])
async def test_an_interaction_takes_an_edit_each_half_second(clock: ManualClock, reports: bool) -> None:
    at = await record_edit_times(clock, interaction(clock), 8, reports=reports)

    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert min(gaps) > 0.4
    assert max(gaps) < 0.62
    assert 14 <= len(at) <= 17


async def test_a_final_edit_goes_at_once_while_a_slot_is_left(clock: ManualClock) -> None:
    bucket = channel(clock)
    task = asyncio.create_task(edit_on_and_on(bucket.pacer(), settle))
    await clock.advance(3.5)

    await asyncio.wait_for(bucket.pacer().wait_for_edit(is_final=True), 1)

    assert clock.monotonic() == 3.5
    await cancel_tasks(task)


async def test_a_final_edit_waits_for_the_reset_when_no_slot_is_left(clock: ManualClock) -> None:
    bucket = channel(clock)
    bucket.update(remaining=0, reset_after_seconds=0.7)

    final = asyncio.create_task(bucket.pacer().wait_for_edit(is_final=True))
    await clock.advance(0.69)
    assert not final.done()
    await clock.advance(0.02)

    assert final.done()


async def test_an_interaction_keeps_a_slot_for_the_final_edit(clock: ManualClock) -> None:
    bucket = interaction(clock)
    bucket.update(remaining=1, reset_after_seconds=2)

    usual = asyncio.create_task(bucket.pacer().wait_for_edit(is_final=False))
    await clock.advance(1)
    final = asyncio.create_task(bucket.pacer().wait_for_edit(is_final=True))
    await clock.advance(0)

    assert final.done()
    assert not usual.done()
    await cancel_tasks(usual)


async def test_a_final_edit_overtakes_waiting_edits(clock: ManualClock) -> None:
    bucket = channel(clock)
    order: list[str] = []

    async def turn(name: str, *, is_final: bool) -> None:
        await bucket.pacer().wait_for_edit(is_final=is_final)
        order.append(name)

    bucket.block(3)
    tasks = [asyncio.create_task(turn(name, is_final=name == "final")) for name in ("first", "second", "final")]
    await clock.advance(10)

    assert order == ["final", "first", "second"]
    await asyncio.gather(*tasks)


async def test_four_messages_take_turns(clock: ManualClock) -> None:
    bucket = channel(clock)
    served: list[int] = []

    def writing(n: int) -> asyncio.Task[None]:
        async def write() -> None:
            served.append(n)

        return asyncio.create_task(edit_on_and_on(bucket.pacer(), write))

    tasks = [writing(n) for n in range(4)]
    await clock.advance(22)

    assert len(served) == 20
    assert all(sorted(served[n : n + 4]) == [0, 1, 2, 3] for n in range(0, 20, 4))
    await cancel_tasks(*tasks)


async def test_a_message_that_comes_later_is_next(clock: ManualClock) -> None:
    bucket = channel(clock)
    served: list[str] = []

    async def write(name: str) -> None:
        served.append(name)

    old = asyncio.create_task(edit_on_and_on(bucket.pacer(), lambda: write("old")))
    await clock.advance(2.0)
    new = asyncio.create_task(edit_on_and_on(bucket.pacer(), lambda: write("new")))
    await clock.advance(1.5)

    assert served == ["old", "old", "new", "old"]
    await cancel_tasks(old, new)


async def test_after_a_429_nothing_goes_until_it_is_over(clock: ManualClock) -> None:
    bucket = interaction(clock)
    bucket.block(7)

    final = asyncio.create_task(bucket.pacer().wait_for_edit(is_final=True))
    await clock.advance(6.99)
    assert not final.done()
    await clock.advance(0.02)

    assert final.done()


async def test_a_smaller_bucket_is_learnt(clock: ManualClock) -> None:
    bucket = channel(clock)
    bucket.update(remaining=1, reset_after_seconds=5, limit=2)

    at = await record_edit_times(clock, bucket, 9, reports=False)

    assert len(at) <= 4
    assert all(later - earlier >= 2.75 for earlier, later in pairwise(at))


async def test_a_cancelled_wait_takes_no_slot(clock: ManualClock) -> None:
    bucket = channel(clock)
    bucket.block(1)
    impatient = asyncio.create_task(bucket.pacer().wait_for_edit(is_final=False))
    await settle()
    await cancel_tasks(impatient)

    at = await record_edit_times(clock, bucket, 1.5, reports=False)

    assert at == [pytest.approx(1, abs=0.01)]


async def test_an_idle_bucket_can_be_forgotten(clock: ManualClock) -> None:
    bucket = channel(clock)
    pacer = bucket.pacer()
    await pacer.wait_for_edit(is_final=True)
    assert not bucket.is_idle
    pacer.close()
    assert not bucket.is_idle

    await clock.advance(6)

    assert bucket.is_idle


@dataclass(frozen=True)
class PacedMessage:
    """A message with some edits and a final edit."""

    begins: float
    edits: int
    way_there: float
    way_back: float


messages = st.lists(
    st.builds(PacedMessage, st.floats(0, 8), st.integers(0, 8), st.floats(0, 0.2), st.floats(0, 0.2)),
    min_size=1,
    max_size=7,
)
buckets = st.sampled_from([(5, 5.0, 1.1, 0), (5, 2.0, None, 1), (3, 1.0, None, 1), (20, 60.0, 1.1, 2)])


@given(messages, buckets, st.booleans())
def test_no_bucket_is_ever_exceeded(
    messages: list[PacedMessage], sizes: tuple[int, float, float | None, int], reports: bool
) -> None:
    asyncio.run(check_bucket(messages, sizes, reports))


async def check_bucket(
    messages: list[PacedMessage], sizes: tuple[int, float, float | None, int], reports: bool
) -> None:
    limit, window, stretch, kept = sizes
    clock = ManualClock()
    bucket = EditBucket(clock, limit=limit, window_seconds=window, spacing_factor=stretch, reserved=kept)
    discord = DiscordWindow(clock, limit, window)
    ended: list[PacedMessage] = []

    async def live(message: PacedMessage) -> None:
        pacer = bucket.pacer()
        await clock.sleep(message.begins)
        for n in range(message.edits + 1):
            await pacer.wait_for_edit(is_final=n == message.edits)
            await clock.sleep(message.way_there)
            remaining, reset_after = discord.take()
            await clock.sleep(message.way_back)
            if reports:
                bucket.update(remaining=remaining, reset_after_seconds=reset_after)
        pacer.close()
        ended.append(message)

    tasks = [asyncio.create_task(live(message)) for message in messages]
    await clock.advance(1000)
    await asyncio.gather(*tasks)

    assert discord.refusals == 0
    assert len(ended) == len(messages)
