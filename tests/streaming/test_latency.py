"""The arithmetic behind the figures: how soon a token is seen, with 300 tokens at 50/s and a round trip of 80 ms."""

import asyncio
from statistics import quantiles

import pytest

from bot.core.jobs import PostedMessage
from bot.core.platform import MessageLimits
from bot.core.replies import MessageRef, Reply
from bot.streaming.editor import MessageEditor
from bot.streaming.pacer import EditBucket
from tests.fakes.clock import ManualClock
from tests.streaming.timed_platform import DESTINATION, TimedPlatform

TOKENS = 300
TOKENS_PER_SECOND = 50


@pytest.mark.parametrize(
    ("window", "stretch", "kept", "p50", "p99"),
    [(5, 1.1, 0, 0.62, 1.2), (2, None, 1, 0.38, 0.7)],
    ids=["channel", "interaction"],
)
async def test_a_token_is_seen_soon(window: float, stretch: float | None, kept: int, p50: float, p99: float) -> None:
    clock = ManualClock()
    bucket = EditBucket(clock, limit=5, window_seconds=window, spacing_factor=stretch, reserved=kept)
    platform = TimedPlatform(clock, MessageLimits(2000), seconds_there=0.04, seconds_back=0.04, bucket=bucket)
    editor = await write_tokens(clock, platform)

    ended_at = clock.monotonic()
    await finish(clock, editor)

    delays = seen_after(platform)
    assert quantiles(delays, n=100)[49] <= p50
    assert quantiles(delays, n=100)[98] <= p99
    assert platform.events[-1][0] - ended_at <= 0.75


async def write_tokens(clock: ManualClock, platform: TimedPlatform) -> MessageEditor:
    async def record(message: PostedMessage) -> None:
        """No row is stored."""

    first = PostedMessage("job1", 0, MessageRef("fake", "team", "general", "", "m0"))
    editor = MessageEditor(platform, DESTINATION, [first], record=record, clock=clock)
    for n in range(1, TOKENS + 1):
        editor.show(Reply("word " * n))
        await clock.advance(1 / TOKENS_PER_SECOND)
    return editor


async def finish(clock: ManualClock, editor: MessageEditor) -> None:
    task = asyncio.create_task(editor.finish(Reply("word " * TOKENS + "!")))
    await clock.advance(3)
    await task


def seen_after(platform: TimedPlatform) -> list[float]:
    """Return the seconds from each token until it is visible, half a round trip after the edit is sent."""
    delays = []
    for n in range(1, TOKENS + 1):
        written_at = (n - 1) / TOKENS_PER_SECOND
        seen_at = next(at for at, _, reply in platform.events if reply.text.count("word") >= n)
        delays.append(seen_at - written_at)
    return delays
