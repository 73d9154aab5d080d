"""Until when: a span such as `2h` or `7d`, or a date, as a moderator types it; and a moment as people read it."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from bot.core.errors import BadOption

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for "until somebody ends it"."""

_DURATION = re.compile(r"(\d{1,5})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{1,2}:\d{2}))?")
_LONGEST = timedelta(days=3660)


def load_time_zone(name: str) -> tzinfo:
    """A time zone by its IANA name; UTC for one that this machine does not know."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is neither, but a KeyError
        return UTC
    except KeyError:
        return UTC


def parse_end(text: str, now: datetime, zone: str) -> datetime:
    """The end that was typed, in UTC; `FOREVER` for an empty text. Raises `BadOption` with what may be typed."""
    wanted = text.strip()
    if not wanted or wanted.lower() in ("forever", "always"):
        return FOREVER
    until = _parse_duration(wanted, now) or _parse_date(wanted, zone)
    if until is None:
        raise BadOption(
            f"until is a span such as 2h, 7d or 4w, or a date such as 2027-03-01, not “{text}”.", option="until"
        )
    if until <= now:
        raise BadOption(f"until must lie ahead: {format_moment(until, zone)} is over.", option="until")
    if until - now > _LONGEST:
        raise BadOption("until lies more than ten years ahead. Leave it out to say for ever.", option="until")
    return until


def _parse_duration(text: str, now: datetime) -> datetime | None:
    match = _DURATION.fullmatch(text)
    return now + timedelta(minutes=int(match[1]) * _MINUTES[match[2][0].lower()]) if match else None


def _parse_date(text: str, zone: str) -> datetime | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        at = time.fromisoformat((match[2] or "0:00").zfill(5))
        return datetime.combine(date.fromisoformat(match[1]), at, load_time_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_moment(at: datetime, zone: str) -> str:
    """A moment as people read it: "12 March 2027, 14:00 UTC"."""
    there = at.astimezone(load_time_zone(zone))
    named = "UTC" if there.tzinfo is UTC else f"({zone})"
    return f"{there:%d %B %Y, %H:%M} {named}"


def format_end(until: datetime, zone: str) -> str:
    """ "until 12 March 2027, 14:00 UTC", or what stands for no end."""
    return "until a moderator ends it" if until >= FOREVER else f"until {format_moment(until, zone)}"
