"""How fast messages are edited. Discord counts per interaction for its answers, per channel for everything else.

Sizes are what was measured of them; the headers of each answer say what holds: `answers.py`.
"""

from collections.abc import Callable

from bot.core.clock import Clock
from bot.core.platform import Pacer
from bot.core.replies import MessageRef
from bot.platforms.discord.channels import get_discord_channel_id
from bot.streaming.pacer import EditBucket

INTERACTION_EDIT_LIMIT = (5, 2.0)
CHANNEL_EDIT_LIMIT = (5, 5.0)
"""Edits, and the seconds in which so many are allowed."""

_STRETCH = 1.1
_FIRST_SWEEP = 256


class DiscordEditLimits:
    """The buckets of everything that is being edited."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, EditBucket] = {}
        self._sweep_at = _FIRST_SWEEP

    def get_interaction_bucket(self, token: str) -> EditBucket:
        """One slot is kept, so that the last word never waits."""
        limit, window = INTERACTION_EDIT_LIMIT
        return self._get(token, lambda: EditBucket(self._clock, limit=limit, window_seconds=window, reserved=1))

    def get_channel_bucket(self, channel: int) -> EditBucket:
        """Shared by all messages of a channel; a thread is a channel of its own."""
        limit, window = CHANNEL_EDIT_LIMIT
        return self._get(
            str(channel), lambda: EditBucket(self._clock, limit=limit, window_seconds=window, spacing_factor=_STRETCH)
        )

    def _get(self, key: str, make: Callable[[], EditBucket]) -> EditBucket:
        if key not in self._buckets:
            self._sweep()
            self._buckets[key] = make()
        return self._buckets[key]

    def _sweep(self) -> None:
        """Forget idle ones, each time there are twice as many as were kept: every new one looking at all is slow."""
        if len(self._buckets) >= self._sweep_at:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_idle}
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._buckets))


class DiscordPacer(Pacer):
    """The turns of one message: its interaction's while that lives, and its channel's afterwards."""

    def __init__(self, buckets: DiscordEditLimits, message: MessageRef, token_of: Callable[[MessageRef], str]) -> None:
        self._buckets = buckets
        self._message = message
        self._token_of = token_of
        self._pacers: dict[str, Pacer] = {}

    async def wait_for_edit(self, *, is_final: bool) -> None:
        token = self._token_of(self._message)
        if token not in self._pacers:
            buckets = self._buckets
            bucket = (
                buckets.get_interaction_bucket(token)
                if token
                else buckets.get_channel_bucket(get_discord_channel_id(self._message))
            )
            self._pacers[token] = bucket.pacer()
        await self._pacers[token].wait_for_edit(is_final=is_final)

    def close(self) -> None:
        for pacer in self._pacers.values():
            pacer.close()
