"""How fast messages are edited. Discord counts per interaction for its answers, per channel for everything else.

Sizes are what was measured of them; the headers of each answer say what holds: `answers.py`.
"""

from collections.abc import Callable

from bot.core.clock import Clock
from bot.core.platform import Pacer
from bot.core.replies import MessageRef
from bot.platforms.discord.places import place_of, plain_token
from bot.streaming.pacer import Bucket

EDITS_OF_AN_INTERACTION = (5, 2.0)
EDITS_OF_A_CHANNEL = (5, 5.0)
"""Edits, and the seconds in which so many are allowed."""

_STRETCH = 1.1
_FIRST_SWEEP = 256


class Buckets:
    """The buckets of everything that is being edited."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._sweep_at = _FIRST_SWEEP

    def of_interaction(self, token: str) -> Bucket:
        """One slot is kept, so that the last word never waits."""
        limit, window = EDITS_OF_AN_INTERACTION
        return self._get(token, lambda: Bucket(self._clock, limit=limit, window=window, kept=1))

    def of_channel(self, channel: int) -> Bucket:
        """Shared by all messages of a channel; a thread is a channel of its own."""
        limit, window = EDITS_OF_A_CHANNEL
        return self._get(str(channel), lambda: Bucket(self._clock, limit=limit, window=window, stretch=_STRETCH))

    def _get(self, key: str, make: Callable[[], Bucket]) -> Bucket:
        if key not in self._buckets:
            self._sweep()
            self._buckets[key] = make()
        return self._buckets[key]

    def _sweep(self) -> None:
        """Forget idle ones, each time there are twice as many as were kept: every new one looking at all is slow."""
        if len(self._buckets) >= self._sweep_at:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_idle}
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._buckets))


class MessagePacer(Pacer):
    """The turns of one message: its interaction's while that lives, and its channel's afterwards."""

    def __init__(self, buckets: Buckets, message: MessageRef, token_of: Callable[[MessageRef], str]) -> None:
        self._buckets = buckets
        self._message = message
        self._token_of = token_of
        self._turns: dict[str, Pacer] = {}

    async def turn(self, *, is_final: bool) -> None:
        token = plain_token(self._token_of(self._message))
        if token not in self._turns:
            buckets = self._buckets
            bucket = buckets.of_interaction(token) if token else buckets.of_channel(place_of(self._message))
            self._turns[token] = bucket.pacer()
        await self._turns[token].turn(is_final=is_final)

    def leave(self) -> None:
        for pacer in self._turns.values():
            pacer.leave()
