"""All polls share one rate."""

import asyncio

from bot.backends.predictions import CogPrediction
from bot.backends.replicate.watching import PredictionPoller
from bot.core.backend import PredictionState
from tests.backends.clock import LeapingClock


async def test_many_polls_share_one_rate_in_order() -> None:
    clock = LeapingClock(max_leap_seconds=0)
    looked: list[tuple[str, float]] = []

    async def get(prediction_id: str) -> CogPrediction:
        looked.append((prediction_id, clock.monotonic()))
        return CogPrediction(prediction_id, PredictionState.PROCESSING)

    poller = PredictionPoller(get, clock, per_second=4)
    looks = asyncio.gather(*(poller.poll(f"p{n}") for n in range(9)))
    for _ in range(10):
        await asyncio.sleep(0)
        clock.advance(0.25)
    await looks

    assert [name for name, _ in looked] == [f"p{n}" for n in range(9)]
    assert max(sum(start <= at < start + 1 for _, at in looked) for _, start in looked) <= 4


async def test_a_run_known_to_be_over_does_not_wait_but_counts() -> None:
    clock = LeapingClock()

    async def get(prediction_id: str) -> CogPrediction:
        return CogPrediction(prediction_id, PredictionState.SUCCEEDED)

    poller = PredictionPoller(get, clock, per_second=4)
    for _ in range(4):
        await poller.poll("p1", is_immediate=True)
    assert clock.slept_seconds == []
    await poller.poll("p2")

    assert clock.slept_seconds == [1.0]
