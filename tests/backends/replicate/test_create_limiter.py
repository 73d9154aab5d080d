"""The line of creates: in order, at the pace that replies tell, and nobody lost."""

import asyncio
import contextlib

import pytest

from bot.backends.replicate.create_limiter import INITIAL_CONCURRENCY, CreateLimiter, CreateLimits
from bot.core.errors import BackendBusy
from tests.backends.clock import LeapingClock, wait_until

ROOMY = CreateLimits(remaining=599, reset_seconds=1)
LOW_CREDIT = CreateLimits(remaining=0, reset_seconds=10, per_second=0.1, wait_seconds=10)


class ServerLimit:
    """A limit like Replicate's: `burst` at once, then `per_second`, told as it tells."""

    def __init__(self, clock: LeapingClock, *, burst: int, per_second: float, tells: bool = True) -> None:
        self._clock = clock
        self._burst, self._tokens, self._per_second, self._tells = burst, float(burst), per_second, tells
        self._refilled_at = clock.monotonic()
        self.taken: list[int] = []
        self.refusals = 0

    def create(self, person: int) -> CreateLimits:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._refilled_at) * self._per_second)
        self._refilled_at = now
        if self._tokens < 1 - 1e-9:
            self.refusals += 1
            wait = max(1.0, (1 - self._tokens) / self._per_second)
            return CreateLimits(0 if self._tells else None, wait_seconds=wait)
        self._tokens -= 1
        self.taken.append(person)
        reset = max(1.0, 1 / self._per_second)
        return CreateLimits(int(self._tokens), reset) if self._tells else CreateLimits()


async def create(gate: CreateLimiter, bucket: ServerLimit, who: int) -> None:
    """As a job does it: again, in front of the others, as often as it is throttled."""
    is_retry = False
    while True:
        async with gate.acquire(is_retry=is_retry):
            await asyncio.sleep(0)
            news = bucket.create(who)
            gate.update(news)
        if news.wait_seconds is None:
            return
        is_retry = True


@pytest.mark.parametrize(
    ("burst", "per_second", "tells", "most_seconds", "most_refusals"),
    [(600, 10, True, 0.1, 0), (10, 10, True, 25, 5), (1, 0.1, True, 2_100, 20), (5, 1, False, 420, 220)],
    ids=["roomy", "small burst", "low credit", "told nothing"],
)
async def test_two_hundred_at_once_all_get_through_and_few_are_refused(
    burst: int, per_second: float, tells: bool, most_seconds: float, most_refusals: int
) -> None:
    clock = LeapingClock()
    gate, bucket = CreateLimiter(clock), ServerLimit(clock, burst=burst, per_second=per_second, tells=tells)

    await asyncio.gather(*(create(gate, bucket, who) for who in range(200)))

    assert sorted(bucket.taken) == list(range(200))
    assert clock.monotonic() <= most_seconds
    assert bucket.refusals <= most_refusals
    assert gate.waiting_count == 0


async def test_the_line_keeps_its_order() -> None:
    clock = LeapingClock()
    gate, bucket = CreateLimiter(clock), ServerLimit(clock, burst=1, per_second=10)

    await asyncio.gather(*(create(gate, bucket, who) for who in range(30)))

    assert bucket.taken[INITIAL_CONCURRENCY:] == list(range(INITIAL_CONCURRENCY, 30))


async def test_at_first_a_few_go_and_the_first_reply_lets_the_others_follow() -> None:
    gate = CreateLimiter(LeapingClock(max_leap_seconds=-1))
    inside: list[int] = []
    let_go = asyncio.Event()

    async def enter(who: int) -> None:
        async with gate.acquire():
            inside.append(who)
            await let_go.wait()

    tasks = [asyncio.create_task(enter(who)) for who in range(50)]
    await wait_until(lambda: len(inside) == INITIAL_CONCURRENCY)
    assert gate.waiting_count == 40

    gate.update(ROOMY)

    await wait_until(lambda: len(inside) == 50)
    let_go.set()
    await asyncio.gather(*tasks)


async def test_who_was_throttled_stands_in_front() -> None:
    clock = LeapingClock(max_leap_seconds=-1)
    gate = CreateLimiter(clock)
    entered: list[str] = []

    async def enter(who: str, *, is_retry: bool = False) -> None:
        async with gate.acquire(is_retry=is_retry):
            entered.append(who)
            gate.update(CreateLimits(remaining=5, reset_seconds=1))

    async with gate.acquire():
        gate.update(LOW_CREDIT)
    tasks = [asyncio.create_task(enter("new")), asyncio.create_task(enter("again", is_retry=True))]
    await wait_until(lambda: gate.waiting_count == 2)
    assert entered == []

    clock.advance(10.1)

    await asyncio.gather(*tasks)
    assert entered == ["again", "new"]


async def test_the_words_of_a_small_account_are_kept_to() -> None:
    clock = LeapingClock()
    gate = CreateLimiter(clock)
    moments: list[float] = []

    async with gate.acquire():
        gate.update(LOW_CREDIT)
    for _ in range(3):
        async with gate.acquire():
            moments.append(round(clock.monotonic()))
            gate.update(CreateLimits(remaining=0, reset_seconds=10))

    assert moments == [10, 20, 30]


async def test_leaving_the_line_lets_the_next_one_on() -> None:
    clock = LeapingClock(max_leap_seconds=-1)
    gate = CreateLimiter(clock)
    async with gate.acquire():
        gate.update(LOW_CREDIT)
    entered = asyncio.Event()

    async def enter() -> None:
        async with gate.acquire():
            entered.set()

    leaving, staying = asyncio.create_task(enter()), asyncio.create_task(enter())
    await wait_until(lambda: gate.waiting_count == 2)
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    assert gate.waiting_count == 1
    await wait_until(lambda: clock.sleeper_count)

    clock.advance(10.1)

    await asyncio.wait_for(staying, 2)
    assert entered.is_set()


async def test_a_broken_create_leaves_its_place() -> None:
    gate = CreateLimiter(LeapingClock(max_leap_seconds=-1))

    for _ in range(INITIAL_CONCURRENCY * 2):
        with contextlib.suppress(ValueError):
            async with gate.acquire():
                raise ValueError

    async with asyncio.timeout(1), gate.acquire():
        pass


async def test_who_would_wait_for_ten_minutes_hears_so() -> None:
    gate = CreateLimiter(LeapingClock())
    async with gate.acquire():
        gate.update(CreateLimits(wait_seconds=3_600))

    with pytest.raises(BackendBusy, match="60 minutes"):
        async with gate.acquire():
            pass

    assert gate.waiting_count == 0
