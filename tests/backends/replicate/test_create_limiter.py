"""The create limiter: in order, at the pace of replies, and no create is lost."""

import asyncio
import contextlib

import pytest

from bot.backends.replicate.create_limiter import INITIAL_CONCURRENCY, CreateLimiter, CreateLimits
from bot.core.errors import BackendBusy
from tests.backends.clock import LeapingClock, wait_until

ROOMY = CreateLimits(remaining=599, reset_seconds=1)
LOW_CREDIT = CreateLimits(remaining=0, reset_seconds=10, per_second=0.1, wait_seconds=10)


class ServerLimit:
    """A limit like Replicate's: `burst` at once, then `per_second`, reported in the same way."""

    def __init__(self, clock: LeapingClock, *, burst: int, per_second: float, reports: bool = True) -> None:
        self._clock = clock
        self._burst, self._tokens, self._per_second, self._reports = burst, float(burst), per_second, reports
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
            return CreateLimits(0 if self._reports else None, wait_seconds=wait)
        self._tokens -= 1
        self.taken.append(person)
        reset = max(1.0, 1 / self._per_second)
        return CreateLimits(int(self._tokens), reset) if self._reports else CreateLimits()


async def create(limiter: CreateLimiter, bucket: ServerLimit, number: int) -> None:
    """Create as a job does: repeat a throttled create, before all new creates."""
    is_retry = False
    while True:
        async with limiter.acquire(is_retry=is_retry):
            await asyncio.sleep(0)
            limits = bucket.create(number)
            limiter.update(limits)
        if limits.wait_seconds is None:
            return
        is_retry = True


@pytest.mark.parametrize(
    ("burst", "per_second", "reports", "most_seconds", "most_refusals"),
    [(600, 10, True, 0.1, 0), (10, 10, True, 25, 5), (1, 0.1, True, 2_100, 20), (5, 1, False, 420, 220)],
    ids=["roomy", "small burst", "low credit", "told nothing"],
)
async def test_two_hundred_at_once_all_get_through_and_few_are_refused(
    burst: int, per_second: float, reports: bool, most_seconds: float, most_refusals: int
) -> None:
    clock = LeapingClock()
    limiter, bucket = CreateLimiter(clock), ServerLimit(clock, burst=burst, per_second=per_second, reports=reports)

    await asyncio.gather(*(create(limiter, bucket, number) for number in range(200)))

    assert sorted(bucket.taken) == list(range(200))
    assert clock.monotonic() <= most_seconds
    assert bucket.refusals <= most_refusals
    assert limiter.waiting_count == 0


async def test_creates_keep_their_order() -> None:
    clock = LeapingClock()
    limiter, bucket = CreateLimiter(clock), ServerLimit(clock, burst=1, per_second=10)

    await asyncio.gather(*(create(limiter, bucket, number) for number in range(30)))

    assert bucket.taken[INITIAL_CONCURRENCY:] == list(range(INITIAL_CONCURRENCY, 30))


async def test_at_first_a_few_go_and_the_first_reply_lets_the_others_follow() -> None:
    limiter = CreateLimiter(LeapingClock(max_leap_seconds=-1))
    inside: list[int] = []
    let_go = asyncio.Event()

    async def enter(number: int) -> None:
        async with limiter.acquire():
            inside.append(number)
            await let_go.wait()

    tasks = [asyncio.create_task(enter(number)) for number in range(50)]
    await wait_until(lambda: len(inside) == INITIAL_CONCURRENCY)
    assert limiter.waiting_count == 40

    limiter.update(ROOMY)

    await wait_until(lambda: len(inside) == 50)
    let_go.set()
    await asyncio.gather(*tasks)


async def test_a_throttled_create_goes_before_new_creates() -> None:
    clock = LeapingClock(max_leap_seconds=-1)
    limiter = CreateLimiter(clock)
    entered: list[str] = []

    async def enter(who: str, *, is_retry: bool = False) -> None:
        async with limiter.acquire(is_retry=is_retry):
            entered.append(who)
            limiter.update(CreateLimits(remaining=5, reset_seconds=1))

    async with limiter.acquire():
        limiter.update(LOW_CREDIT)
    tasks = [asyncio.create_task(enter("new")), asyncio.create_task(enter("again", is_retry=True))]
    await wait_until(lambda: limiter.waiting_count == 2)
    assert entered == []

    clock.advance(10.1)

    await asyncio.gather(*tasks)
    assert entered == ["again", "new"]


async def test_the_rate_in_a_429_is_kept() -> None:
    clock = LeapingClock()
    limiter = CreateLimiter(clock)
    moments: list[float] = []

    async with limiter.acquire():
        limiter.update(LOW_CREDIT)
    for _ in range(3):
        async with limiter.acquire():
            moments.append(round(clock.monotonic()))
            limiter.update(CreateLimits(remaining=0, reset_seconds=10))

    assert moments == [10, 20, 30]


async def test_a_cancelled_wait_lets_the_next_create_go() -> None:
    clock = LeapingClock(max_leap_seconds=-1)
    limiter = CreateLimiter(clock)
    async with limiter.acquire():
        limiter.update(LOW_CREDIT)
    entered = asyncio.Event()

    async def enter() -> None:
        async with limiter.acquire():
            entered.set()

    leaving, staying = asyncio.create_task(enter()), asyncio.create_task(enter())
    await wait_until(lambda: limiter.waiting_count == 2)
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    assert limiter.waiting_count == 1
    await wait_until(lambda: clock.sleeper_count)

    clock.advance(10.1)

    await asyncio.wait_for(staying, 2)
    assert entered.is_set()


async def test_a_broken_create_leaves_its_place() -> None:
    limiter = CreateLimiter(LeapingClock(max_leap_seconds=-1))

    for _ in range(INITIAL_CONCURRENCY * 2):
        with contextlib.suppress(ValueError):
            async with limiter.acquire():
                raise ValueError

    async with asyncio.timeout(1), limiter.acquire():
        pass


async def test_a_closure_of_over_ten_minutes_raises_backend_busy() -> None:
    limiter = CreateLimiter(LeapingClock())
    async with limiter.acquire():
        limiter.update(CreateLimits(wait_seconds=3_600))

    with pytest.raises(BackendBusy, match="60 minutes"):
        async with limiter.acquire():
            pass

    assert limiter.waiting_count == 0
