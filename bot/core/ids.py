"""Create ids: short enough to type, sorted by time, hard to guess."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no two characters look alike
_TIME_BITS = 48
_RANDOM_BITS = 52


def parse_timestamp(id_: str) -> float | None:
    """Return the time in an id, in seconds since 1970; None for a text that is no id of the bot."""
    number = 0
    for character in id_:
        if (digit := _ALPHABET.find(character)) < 0:
            return None
        number = number << 5 | digit
    return (number >> _RANDOM_BITS) / 1000 if len(id_) * 5 == _TIME_BITS + _RANDOM_BITS else None


def new_id() -> str:
    """Return twenty characters: 48 bits of milliseconds, then 52 random bits. Later ids sort later."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds & ((1 << _TIME_BITS) - 1)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(_TIME_BITS + _RANDOM_BITS - 5, -1, -5))
