"""The two request headers of a create: how long to hold the reply, and when to stop the prediction."""

import re

from bot.sandbox.problems import Problem

_WAIT = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_LONGEST_WAIT_SECONDS = 60
_SHORTEST_LIFE_SECONDS = 5


def parse_wait_seconds(prefer: str | None) -> int | None:
    """`Prefer: wait` or `wait=1..60`; None without it."""
    if not prefer:
        return None
    match = _WAIT.fullmatch(prefer.strip())
    if match is None:
        raise Problem(422, 'The Prefer header must be "wait" or "wait=N" with N from 1 to 60', title="Invalid header")
    return int(match[1] or _LONGEST_WAIT_SECONDS)


def parse_lifetime_seconds(cancel_after: str | None) -> int | None:
    """`Cancel-After: 30s | 5m | 1h30m45s | 30`; None without it."""
    if cancel_after is None:
        return None
    match = _DURATION.fullmatch(cancel_after.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total < _SHORTEST_LIFE_SECONDS:
        raise Problem(422, "The Cancel-After header must be a duration of at least 5 seconds", title="Invalid header")
    return total
