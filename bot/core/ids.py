"""Identifiers: short enough to type, sorted by time, hard to guess."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: nothing that looks like something else
_TIME_BITS = 48
_RANDOM_BITS = 52


def parse_timestamp(id_: str) -> float | None:
    """When an id was made, in seconds since 1970; None for what is no id of ours."""
    number = 0
    for sign in id_:
        if (digit := _ALPHABET.find(sign)) < 0:
            return None
        number = number << 5 | digit
    return (number >> _RANDOM_BITS) / 1000 if len(id_) * 5 == _TIME_BITS + _RANDOM_BITS else None


def new_id() -> str:
    """Twenty characters: 48 bits of milliseconds, then 52 random bits, so that later ids sort later."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds & ((1 << _TIME_BITS) - 1)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(_TIME_BITS + _RANDOM_BITS - 5, -1, -5))
