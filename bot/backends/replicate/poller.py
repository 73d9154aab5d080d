"""Looks at predictions by GET, all within one rate, whoever asks."""

from collections.abc import Awaitable, Callable

from bot.backends.replicate.schema import ReplicatePrediction
from bot.core.clock import Clock

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
        self._seconds_between_slots = 1 / per_second
        self._next_slot = float("-inf")

    async def poll(self, prediction_id: str, *, is_immediate: bool = False) -> ReplicatePrediction:
        """The prediction now. `at_once` takes a slot but does not wait for it: for runs known to be over."""
        now = self._clock.monotonic()
        slot = max(now, self._next_slot)
        self._next_slot = slot + self._seconds_between_slots
        if slot > now and not is_immediate:
            await self._clock.sleep(slot - now)
        return await self._get(prediction_id)
