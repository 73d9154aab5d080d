"""One rate for all looks."""

import asyncio

from bot.backends.replicate.poller import Poller
from bot.backends.replicate.schema import Prediction
from bot.core.predictions import PredictionState
from tests.backends.clock import LeapingClock


async def test_many_looks_share_one_rate_in_order() -> None:
    clock = LeapingClock(leaps=0)
    looked: list[tuple[str, float]] = []

    async def get(prediction_id: str) -> Prediction:
        looked.append((prediction_id, clock.monotonic()))
        return Prediction(prediction_id, PredictionState.PROCESSING)

    poller = Poller(get, clock, per_second=4)
    looks = asyncio.gather(*(poller.look(f"p{n}") for n in range(9)))
    for _ in range(10):
        await asyncio.sleep(0)
        clock.advance(0.25)
    await looks

    assert [name for name, _ in looked] == [f"p{n}" for n in range(9)]
    assert max(sum(start <= at < start + 1 for _, at in looked) for _, start in looked) <= 4


async def test_a_run_known_to_be_over_does_not_wait_but_counts() -> None:
    clock = LeapingClock()

    async def get(prediction_id: str) -> Prediction:
        return Prediction(prediction_id, PredictionState.SUCCEEDED)

    poller = Poller(get, clock, per_second=4)
    for _ in range(4):
        await poller.look("p1", at_once=True)
    assert clock.slept == []
    await poller.look("p2")

    assert clock.slept == [1.0]
