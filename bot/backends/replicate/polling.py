"""How long to go on trying: waits between tries, as the service tells them or growing, within bounds."""

import random
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, repeat

from bot.backends.replicate.outputs import ReplicatePrediction
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown
from bot.core.models import Model, OutputKind
from bot.core.token_bucket import TokenBucket

MAX_TRIES = 4
"""Including the first, when the service cannot be reached."""

MAX_WAIT_SECONDS = 30.0
"""In all, when the service is busy. Whoever asked then hears when to try again."""

_INITIAL_WAIT_SECONDS = 0.5


class RetryBackoff:
    """For one call. Tell it each failure; it waits, or raises the failure when there is no point any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._waited_seconds = 0.0

    async def wait_or_raise(self, error: BackendBusy | BackendDown) -> None:
        """Wait before another try, or raise `error`."""
        self._failures += 1
        growing = _INITIAL_WAIT_SECONDS * 2 ** min(self._failures - 1, 5)
        if isinstance(error, BackendBusy):
            wait = max(error.retry_after_seconds, growing)
            is_over = self._waited_seconds + wait > MAX_WAIT_SECONDS
        else:
            wait = growing
            is_over = self._failures >= MAX_TRIES
        if is_over:
            raise error
        self._waited_seconds += wait
        await self._clock.sleep(with_jitter(wait))


def with_jitter(seconds: float) -> float:
    """Up to a fifth more than that, so that many who wait do not all come back at once."""
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 - only spreads load


# MERGED When a run is looked at although nobody said that it is over: a picture done within 30 s costs three
# MERGED requests.
# MERGED By stream these are the create, the stream and the last look; by webhook the create, one glance and the last
# MERGED look.

FIRST_POLL_BESIDE_STREAM_SECONDS = 30.0
"""So long a picture's stream is trusted. It carries no progress, but neither do most jobs last."""

SECONDS_BETWEEN_POLLS = 5.0
"""After that: people should see how far it is."""

SECONDS_BETWEEN_TEXT_POLLS = 30.0
"""Text tells its progress itself; this look only catches a stream that lost its `done`."""

_MIN_FIRST_POLL_SECONDS = 5.0
_MAX_FIRST_POLL_SECONDS = 20.0


def schedule_polls_beside_stream(model: Model) -> Iterator[float]:
    """Seconds from each look to the next, without end."""
    if model.output is not OutputKind.PICTURES:
        return repeat(SECONDS_BETWEEN_TEXT_POLLS)
    return chain([FIRST_POLL_BESIDE_STREAM_SECONDS], repeat(SECONDS_BETWEEN_POLLS))


def schedule_polls_beside_webhooks(model: Model) -> Iterator[float]:
    """The one early look comes when the run should be over: it finds progress, a cold start, or a missed webhook."""
    first = min(max(model.usual_seconds * 1.5 + 3, _MIN_FIRST_POLL_SECONDS), _MAX_FIRST_POLL_SECONDS)
    return chain([first, FIRST_POLL_BESIDE_STREAM_SECONDS - first], repeat(SECONDS_BETWEEN_POLLS))


# MERGED Looks at predictions by GET, all within one rate, whoever asks.

POLLS_PER_SECOND = 35.0
"""Replicate allows 3,000 calls a minute besides creates; the rest is for lists, uploads and cancels."""


class PredictionPoller:
    """Gives each look a slot of time, first come, first served. Under load everybody simply waits longer."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[ReplicatePrediction]],
        clock: Clock,
        *,
        per_second: float = POLLS_PER_SECOND,
    ) -> None:
        self._get = get
        self._clock = clock
        self._bucket = TokenBucket(clock.monotonic, burst=1, per_second=per_second)

    async def poll(self, prediction_id: str, *, is_immediate: bool = False) -> ReplicatePrediction:
        """The prediction now. `at_once` takes a slot but does not wait for it: for runs known to be over."""
        wait = self._bucket.seconds_until_available()
        self._bucket.take()
        if wait and not is_immediate:
            await self._clock.sleep(wait)
        return await self._get(prediction_id)
