"""The token bucket: a burst, an even refill, blocks, reservations, and levels that another system reports."""

import pytest

from bot.core.token_bucket import TokenBucket


class ManualSeconds:
    """A source of seconds that the test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def seconds_source() -> ManualSeconds:
    return ManualSeconds()


def spend_all(bucket: TokenBucket) -> int:
    count = 0
    while bucket.seconds_until_available() == 0:
        bucket.take()
        count += 1
    return count


def test_a_burst_is_available_at_once_and_then_the_rate(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=5, per_second=2)

    counts = [spend_all(bucket)]
    for seconds in (1, 0.25, 0.25, 1000):
        seconds_source.seconds += seconds
        counts.append(spend_all(bucket))

    assert counts == [5, 2, 0, 1, 5]


def test_an_empty_bucket_names_the_seconds_until_a_whole_token(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=1, per_second=0.1)
    bucket.take()
    seconds_source.seconds += 4

    assert bucket.seconds_until_available() == pytest.approx(6)


def test_reservations_are_spaced_by_the_rate(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=1, per_second=4)
    waits = []
    for _ in range(4):
        waits.append(bucket.seconds_until_available())
        bucket.take()

    assert waits == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_block_stops_spending_and_refilling(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=2, per_second=1)
    spend_all(bucket)

    bucket.block(10)
    bucket.block(3)
    seconds_source.seconds += 4

    assert bucket.blocked_seconds == pytest.approx(6)
    assert bucket.level == 0
    assert bucket.seconds_until_available() == pytest.approx(7)
    seconds_source.seconds += 7.5
    assert bucket.level == pytest.approx(1.5)


def test_a_reported_level_above_the_burst_is_spent_but_not_refilled(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=1, per_second=10)

    bucket.level = 3
    seconds_source.seconds += 60

    assert spend_all(bucket) == 3


def test_a_new_rate_applies_from_its_change_on(seconds_source: ManualSeconds) -> None:
    bucket = TokenBucket(seconds_source, burst=10, per_second=1)
    bucket.level = 0
    seconds_source.seconds += 2

    bucket.per_second = 0.5
    seconds_source.seconds += 2

    assert bucket.level == pytest.approx(3)
