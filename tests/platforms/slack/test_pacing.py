"""Budgets: never more in a minute than Slack takes, fair, shared by processes, and stopped by a 429."""

import asyncio
from itertools import pairwise
from statistics import median

from bot.platforms.slack.pacing import (
    APPEND_STREAM,
    START_STREAM,
    UPDATE_MESSAGE,
    SlackPacer,
    SlackRateLimit,
    SlackRateLimits,
)
from tests.fakes.clock import ManualClock


async def record_grant_times(clock: ManualClock, rate_limit: SlackRateLimit, count: int) -> list[float]:
    """Return the times of `count` calls that are all requested now."""
    times: list[float] = []

    async def call() -> None:
        await rate_limit.pacer().wait_for_edit(is_final=False)
        times.append(clock.monotonic())

    calls = [asyncio.create_task(call()) for _ in range(count)]
    while len(times) < count:
        await asyncio.sleep(0)
        await clock.advance(0.25)
    await asyncio.gather(*calls)
    return times


async def test_no_minute_has_more_calls_than_allowed() -> None:
    clock = ManualClock()

    times = await record_grant_times(clock, SlackRateLimit(clock, per_minute=19, burst=11), 40)

    assert all(later - earlier >= 60 for earlier, later in zip(times, times[19:], strict=False))


async def test_a_burst_of_final_edits_goes_at_once() -> None:
    clock = ManualClock()
    rate_limit = SlackRateLimit(clock, per_minute=96, burst=40)
    began = clock.monotonic()

    await asyncio.gather(*(rate_limit.pacer().wait_for_edit(is_final=True) for _ in range(40)))

    assert clock.monotonic() == began


async def test_a_burst_of_others_thins_out_instead_of_breaking_off() -> None:
    clock = ManualClock()

    times = await record_grant_times(clock, SlackRateLimit(clock, per_minute=96, burst=40), 60)

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] <= 0.25
    assert max(gaps) <= 1.25


async def test_a_429_blocks_all_calls_of_the_method() -> None:
    clock = ManualClock()
    rate_limit = SlackRateLimit(clock, per_minute=96, burst=40)
    began = clock.monotonic()

    rate_limit.block(7)
    times = await record_grant_times(clock, rate_limit, 3)

    assert times[0] - began >= 7


async def test_workers_share_what_the_app_may_do() -> None:
    clock = ManualClock()
    rate_limits = SlackRateLimits(clock)

    rate_limits.set_worker_count(2)
    times = await record_grant_times(clock, rate_limits.get("T1", START_STREAM), 20)

    assert all(later - earlier >= 60 for earlier, later in zip(times, times[10:], strict=False))


async def test_workspaces_and_methods_have_separate_limits() -> None:
    rate_limits = SlackRateLimits(ManualClock())

    assert rate_limits.get("T1", APPEND_STREAM) is rate_limits.get("T1", APPEND_STREAM)
    assert rate_limits.get("T1", APPEND_STREAM) is not rate_limits.get("T2", APPEND_STREAM)
    assert rate_limits.get("T1", APPEND_STREAM) is not rate_limits.get("T1", UPDATE_MESSAGE)
    assert rate_limits.get("T1", "chat.postMessage", "C1") is not rate_limits.get("T1", "chat.postMessage", "C2")


async def test_a_turn_pays_for_one_call() -> None:
    clock = ManualClock()
    pacer = SlackPacer(SlackRateLimits(clock), clock, "T1", next_method=APPEND_STREAM)

    await pacer.wait_for_edit(is_final=False)

    assert not pacer.use_turn(UPDATE_MESSAGE)
    assert pacer.use_turn(APPEND_STREAM)
    assert not pacer.use_turn(APPEND_STREAM)


async def record_append_times(streams: int, seconds: float) -> list[list[float]]:
    """Return the times of appends of each stream, for streams that always have more text."""
    clock = ManualClock()
    rate_limits, began = SlackRateLimits(clock), clock.monotonic()
    times: list[list[float]] = [[] for _ in range(streams)]

    async def write(moments: list[float]) -> None:
        pacer = SlackPacer(rate_limits, clock, "T1", next_method=APPEND_STREAM)
        while True:
            await pacer.wait_for_edit(is_final=False)
            pacer.use_turn(APPEND_STREAM)
            moments.append(clock.monotonic())

    writers = [asyncio.create_task(write(moments)) for moments in times]
    while clock.monotonic() - began < seconds:
        await asyncio.sleep(0)
        await clock.advance(0.05)
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    return times


async def test_one_answer_keeps_its_pace_for_minutes() -> None:
    (times,) = await record_append_times(1, seconds=240)

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert median(gaps) <= 0.7
    assert max(gaps) <= 1.7
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[96:], strict=False))


async def test_many_answers_slow_down_together_and_all_keep_moving() -> None:
    streams = await record_append_times(10, seconds=90)

    slowest = max(later - earlier for times in streams for earlier, later in pairwise(times))
    together = sorted(moment for times in streams for moment in times)
    assert slowest <= 17
    assert all(later - earlier >= 60 for earlier, later in zip(together, together[96:], strict=False))


async def test_one_stream_is_appended_to_twice_a_second() -> None:
    clock = ManualClock()
    pacer = SlackPacer(SlackRateLimits(clock), clock, "T1", next_method=APPEND_STREAM)
    times = []

    async def write() -> None:
        for _ in range(10):
            await pacer.wait_for_edit(is_final=False)
            pacer.use_turn(APPEND_STREAM)
            times.append(clock.monotonic())

    writing = asyncio.create_task(write())
    while not writing.done():
        await asyncio.sleep(0)
        await clock.advance(0.05)

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) <= 0.6
    assert min(gaps) >= 0.45
