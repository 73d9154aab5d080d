"""Limits how fast messages are edited: interaction responses per token, other messages per channel.

The sizes below were measured; `X-RateLimit-*` headers correct them with each answer (facts: Discord counts edits of an
interaction's messages apart from the channel's, github.com/discord/discord-api-docs/issues/2701).
"""

from collections.abc import Callable

import aiohttp

from bot.core.clock import Clock
from bot.core.platform import Pacer
from bot.core.replies import MessageRef
from bot.platforms.discord.channels import get_discord_channel_id
from bot.streaming.pacer import EditBucket

# Edits, and the seconds in which so many are allowed.
INTERACTION_EDIT_LIMIT = (5, 2.0)
CHANNEL_EDIT_LIMIT = (5, 5.0)

_CHANNEL_SPACING_FACTOR = 1.1
_FIRST_SWEEP = 256
_DEFAULT_RETRY_SECONDS = 1.0


class DiscordEditLimits:
    """The edit bucket of each interaction and each channel in use."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, EditBucket] = {}
        self._sweep_at = _FIRST_SWEEP

    def get_interaction_bucket(self, token: str) -> EditBucket:
        limit, window = INTERACTION_EDIT_LIMIT
        # One slot is reserved, so that the final edit never waits.
        return self._get(token, lambda: EditBucket(self._clock, limit=limit, window_seconds=window, reserved=1))

    def get_channel_bucket(self, channel: int) -> EditBucket:
        """Return the bucket that all messages of a channel share. A thread is a channel with a bucket of its own."""
        limit, window = CHANNEL_EDIT_LIMIT
        return self._get(
            str(channel),
            lambda: EditBucket(self._clock, limit=limit, window_seconds=window, spacing_factor=_CHANNEL_SPACING_FACTOR),
        )

    def _get(self, key: str, create: Callable[[], EditBucket]) -> EditBucket:
        if key not in self._buckets:
            self._sweep()
            self._buckets[key] = create()
        return self._buckets[key]

    def _sweep(self) -> None:
        # Only idle buckets may go: a forgotten busy bucket would let edits exceed the limit. Sweeping at each doubling
        # keeps the cost per new bucket constant.
        if len(self._buckets) >= self._sweep_at:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_idle}
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._buckets))


class DiscordPacer(Pacer):
    """Paces the edits of one message: in the interaction's bucket while the token is usable, then in the channel's.

    `get_token` returns the usable token of a message, or an empty text.
    """

    def __init__(
        self, edit_limits: DiscordEditLimits, message: MessageRef, get_token: Callable[[MessageRef], str]
    ) -> None:
        self._edit_limits = edit_limits
        self._message = message
        self._get_token = get_token
        self._pacers: dict[str, Pacer] = {}

    async def wait_for_edit(self, *, is_final: bool) -> None:
        token = self._get_token(self._message)
        if token not in self._pacers:
            self._pacers[token] = self._get_bucket(token).pacer()
        await self._pacers[token].wait_for_edit(is_final=is_final)

    def close(self) -> None:
        for pacer in self._pacers.values():
            pacer.close()

    def _get_bucket(self, token: str) -> EditBucket:
        if token:
            return self._edit_limits.get_interaction_bucket(token)
        return self._edit_limits.get_channel_bucket(get_discord_channel_id(self._message))


def update_bucket(bucket: EditBucket, response: aiohttp.ClientResponse) -> None:
    """Correct a bucket by the rate limit headers of an answer. Raise `ValueError` for figures that are no numbers."""
    headers = response.headers
    if response.status == 429:
        bucket.block(_parse_retry_after(headers.get("Retry-After")))
        return
    remaining, reset_after = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Reset-After")
    if remaining is not None and reset_after is not None:
        limit = headers.get("X-RateLimit-Limit")
        bucket.update(
            remaining=int(float(remaining)),
            reset_after_seconds=float(reset_after),
            limit=int(float(limit)) if limit else None,
        )


def _parse_retry_after(value: str | None) -> float:
    """Return seconds. A proxy may name a date instead, as HTTP allows: then return a default."""
    try:
        return float(value) if value else _DEFAULT_RETRY_SECONDS
    except ValueError:
        return _DEFAULT_RETRY_SECONDS
