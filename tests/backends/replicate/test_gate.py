"""The line of creates: in order, at the pace that replies tell, and nobody lost."""

import asyncio
import contextlib

import pytest

from bot.backends.replicate.gate import FIRST_AT_ONCE, Gate
from bot.backends.replicate.rates import RateNews
from bot.core.errors import BackendBusy
from tests.backends.clock import LeapingClock
from tests.backends.waiting import eventually

ROOMY = RateNews(remaining=599, reset_seconds=1)
LOW_CREDIT = RateNews(remaining=0, reset_seconds=10, per_second=0.1, wait_seconds=10)


class Bucket:
    """A limit like Replicate's: `burst` at once, then `per_second`, told as it tells."""

    def __init__(self, clock: LeapingClock, *, burst: int, per_second: float, tells: bool = True) -> None:
        self._clock = clock
        self._burst, self._left, self._per_second, self._tells = burst, float(burst), per_second, tells
        self._at = clock.monotonic()
        self.taken: list[int] = []
        self.refusals = 0

    def create(self, who: int) -> RateNews:
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1 - 1e-9:
            self.refusals += 1
            wait = max(1.0, (1 - self._left) / self._per_second)
            return RateNews(0 if self._tells else None, wait_seconds=wait)
        self._left -= 1
        self.taken.append(who)
        reset = max(1.0, 1 / self._per_second)
        return RateNews(int(self._left), reset) if self._tells else RateNews()


async def create(gate: Gate, bucket: Bucket, who: int) -> None:
    """As a job does it: again, in front of the others, as often as it is throttled."""
    is_again = False
    while True:
        async with gate.turn(is_again=is_again):
            await asyncio.sleep(0)
            news = bucket.create(who)
            gate.learn(news)
        if news.wait_seconds is None:
            return
        is_again = True


@pytest.mark.parametrize(
    ("burst", "per_second", "tells", "most_seconds", "most_refusals"),
    [(600, 10, True, 0.1, 0), (10, 10, True, 25, 5), (1, 0.1, True, 2_100, 20), (5, 1, False, 420, 220)],
    ids=["roomy", "small burst", "low credit", "told nothing"],
)
async def test_two_hundred_at_once_all_get_through_and_few_are_refused(
    burst: int, per_second: float, tells: bool, most_seconds: float, most_refusals: int
) -> None:
    clock = LeapingClock()
    gate, bucket = Gate(clock), Bucket(clock, burst=burst, per_second=per_second, tells=tells)

    await asyncio.gather(*(create(gate, bucket, who) for who in range(200)))

    assert sorted(bucket.taken) == list(range(200))
    assert clock.monotonic() <= most_seconds
    assert bucket.refusals <= most_refusals
    assert gate.waiting == 0


async def test_the_line_keeps_its_order() -> None:
    clock = LeapingClock()
    gate, bucket = Gate(clock), Bucket(clock, burst=1, per_second=10)

    await asyncio.gather(*(create(gate, bucket, who) for who in range(30)))

    assert bucket.taken[FIRST_AT_ONCE:] == list(range(FIRST_AT_ONCE, 30))


async def test_at_first_a_few_go_and_the_first_reply_lets_the_others_follow() -> None:
    gate = Gate(LeapingClock(leaps=-1))
    inside: list[int] = []
    let_go = asyncio.Event()

    async def enter(who: int) -> None:
        async with gate.turn():
            inside.append(who)
            await let_go.wait()

    tasks = [asyncio.create_task(enter(who)) for who in range(50)]
    await eventually(lambda: len(inside) == FIRST_AT_ONCE)
    assert gate.waiting == 40

    gate.learn(ROOMY)

    await eventually(lambda: len(inside) == 50)
    let_go.set()
    await asyncio.gather(*tasks)


async def test_who_was_throttled_stands_in_front() -> None:
    clock = LeapingClock(leaps=-1)
    gate = Gate(clock)
    entered: list[str] = []

    async def enter(who: str, *, is_again: bool = False) -> None:
        async with gate.turn(is_again=is_again):
            entered.append(who)
            gate.learn(RateNews(remaining=5, reset_seconds=1))

    async with gate.turn():
        gate.learn(LOW_CREDIT)
    tasks = [asyncio.create_task(enter("new")), asyncio.create_task(enter("again", is_again=True))]
    await eventually(lambda: gate.waiting == 2)
    assert entered == []

    clock.advance(10.1)

    await asyncio.gather(*tasks)
    assert entered == ["again", "new"]


async def test_the_words_of_a_small_account_are_kept_to() -> None:
    clock = LeapingClock()
    gate = Gate(clock)
    moments: list[float] = []

    async with gate.turn():
        gate.learn(LOW_CREDIT)
    for _ in range(3):
        async with gate.turn():
            moments.append(round(clock.monotonic()))
            gate.learn(RateNews(remaining=0, reset_seconds=10))

    assert moments == [10, 20, 30]


async def test_leaving_the_line_lets_the_next_one_on() -> None:
    clock = LeapingClock(leaps=-1)
    gate = Gate(clock)
    async with gate.turn():
        gate.learn(LOW_CREDIT)
    entered = asyncio.Event()

    async def enter() -> None:
        async with gate.turn():
            entered.set()

    leaving, staying = asyncio.create_task(enter()), asyncio.create_task(enter())
    await eventually(lambda: gate.waiting == 2)
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    assert gate.waiting == 1
    await eventually(lambda: clock.sleepers)

    clock.advance(10.1)

    await asyncio.wait_for(staying, 2)
    assert entered.is_set()


async def test_a_broken_create_leaves_its_place() -> None:
    gate = Gate(LeapingClock(leaps=-1))

    for _ in range(FIRST_AT_ONCE * 2):
        with contextlib.suppress(ValueError):
            async with gate.turn():
                raise ValueError

    async with asyncio.timeout(1), gate.turn():
        pass


async def test_who_would_wait_for_ten_minutes_hears_so() -> None:
    gate = Gate(LeapingClock())
    async with gate.turn():
        gate.learn(RateNews(wait_seconds=3_600))

    with pytest.raises(BackendBusy, match="60 minutes"):
        async with gate.turn():
            pass

    assert gate.waiting == 0
