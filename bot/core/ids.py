"""Create ids: short enough to type, unique, and impossible to guess; or in the order of time."""

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no two characters look alike
_BITS = 100
_TIME_BITS = 48


def new_id() -> str:
    """Return twenty characters: 100 random bits.

    An id holds no time: the beginning of an id with a time would be known to everybody with a clock. The rows keep the
    time in `created_at`.
    """
    return _encode(secrets.randbits(_BITS))


def derive_id(key: str) -> str:
    """Return the twenty characters that belong to a key, the same in each process."""
    return _encode(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=13).digest()) >> 4)


def new_ordered_id() -> str:
    """Return twenty characters: 48 bits of milliseconds, then 52 random bits. Later ids sort later.

    For rows that are read in their order and that no person names.
    """
    random_bits = _BITS - _TIME_BITS
    milliseconds = time.time_ns() // 1_000_000
    return _encode((milliseconds & ((1 << _TIME_BITS) - 1)) << random_bits | secrets.randbits(random_bits))


def _encode(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(_BITS - 5, -1, -5))
