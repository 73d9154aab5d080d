"""The token bucket: a burst, an even refill, blocks, reservations, and levels that another system reports."""

import pytest

from bot.core.token_bucket import TokenBucket


class Stopwatch:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


def spend_all(bucket: TokenBucket) -> int:
    count = 0
    while bucket.seconds_until_available() == 0:
        bucket.take()
        count += 1
    return count


def test_a_burst_passes_and_then_the_rate(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=5, per_second=2)

    counts = [spend_all(bucket)]
    for seconds in (1, 0.25, 0.25, 1000):
        stopwatch.seconds += seconds
        counts.append(spend_all(bucket))

    assert counts == [5, 2, 0, 1, 5]


def test_an_empty_bucket_names_the_seconds_until_a_whole_token(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=1, per_second=0.1)
    bucket.take()
    stopwatch.seconds += 4

    assert bucket.seconds_until_available() == pytest.approx(6)


def test_reservations_are_spaced_by_the_rate(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=1, per_second=4)
    waits = []
    for _ in range(4):
        waits.append(bucket.seconds_until_available())
        bucket.take()

    assert waits == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_block_stops_spending_and_refilling(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=2, per_second=1)
    spend_all(bucket)

    bucket.block(10)
    bucket.block(3)
    stopwatch.seconds += 4

    assert bucket.blocked_seconds == pytest.approx(6)
    assert bucket.level == 0
    assert bucket.seconds_until_available() == pytest.approx(7)
    stopwatch.seconds += 7.5
    assert bucket.level == pytest.approx(1.5)


def test_a_reported_level_above_the_burst_is_spent_but_not_refilled(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=1, per_second=10)

    bucket.level = 3
    stopwatch.seconds += 60

    assert spend_all(bucket) == 3


def test_a_learned_rate_counts_from_its_news_on(stopwatch: Stopwatch) -> None:
    bucket = TokenBucket(stopwatch, burst=10, per_second=1)
    bucket.level = 0
    stopwatch.seconds += 2

    bucket.per_second = 0.5
    stopwatch.seconds += 2

    assert bucket.level == pytest.approx(3)
