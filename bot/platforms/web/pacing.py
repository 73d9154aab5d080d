"""How fast messages on the page change: as fast as eyes follow, since an edit costs no one anything."""

from bot.core.clock import Clock

SECONDS_BETWEEN_EDITS = 1 / 30


class WebPacer:
    """The pace of one message. Nobody limits us here; more than a screen shows would only cost power."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_edit_at = 0.0

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until an edit may be sent. A final edit never waits."""
        now = self._clock.monotonic()
        if not is_final and now < self._next_edit_at:
            await self._clock.sleep(self._next_edit_at - now)
        self._next_edit_at = self._clock.monotonic() + SECONDS_BETWEEN_EDITS

    def close(self) -> None:
        """No bucket is shared, so nobody waits for this place."""
