"""Discord's ids: milliseconds since 2015 and a counter, so that younger things have greater ids."""

from tests.emulators.discord.clock import DiscordClock

_EPOCH_MILLISECONDS = 1_420_070_400_000
_COUNTER_BITS = 22


class DiscordIdGenerator:
    """Gives each id once."""

    def __init__(self, clock: DiscordClock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        fresh = (int(self._clock.now() * 1000) - _EPOCH_MILLISECONDS) << _COUNTER_BITS
        self._last = max(fresh, self._last + 1)
        return self._last


def decode_timestamp(snowflake: int) -> float:
    """When the id was given, in Unix seconds."""
    return ((snowflake >> _COUNTER_BITS) + _EPOCH_MILLISECONDS) / 1000
