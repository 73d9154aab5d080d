"""How fast messages on the page change: as fast as eyes follow, since an edit costs no one anything."""

from bot.core.clock import Clock

SECONDS_BETWEEN_EDITS = 1 / 30


class PagePacer:
    """The pace of one message. Nobody limits us here; more than a screen shows would only cost power."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_turn = 0.0

    async def turn(self, *, is_final: bool) -> None:
        """Wait until an edit may be sent. A final edit never waits."""
        now = self._clock.monotonic()
        if not is_final and now < self._next_turn:
            await self._clock.sleep(self._next_turn - now)
        self._next_turn = self._clock.monotonic() + SECONDS_BETWEEN_EDITS

    def leave(self) -> None:
        """No bucket is shared, so nobody waits for this place."""
