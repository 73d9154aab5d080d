"""Parse and format the end of a block: a duration such as `2h` or `7d`, or a date, as a moderator types it."""

import re
from datetime import UTC, date, datetime, time, timedelta

from bot.core.errors import BadOption
from bot.core.time_format import format_moment, load_time_zone

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a block without an end."""

_DURATION = re.compile(r"(\d{1,5})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_MINUTES_PER_UNIT = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{1,2}:\d{2}))?")
_MAX_DURATION = timedelta(days=3660)


def parse_end(text: str, now: datetime, zone: str) -> datetime:
    """Return the end in UTC, `FOREVER` for an empty text. Raise `BadOption` with the accepted forms."""
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
    if until - now > _MAX_DURATION:
        raise BadOption("until lies more than ten years ahead. Leave it out to say for ever.", option="until")
    return until


def _parse_duration(text: str, now: datetime) -> datetime | None:
    match = _DURATION.fullmatch(text)
    return now + timedelta(minutes=int(match[1]) * _MINUTES_PER_UNIT[match[2][0].lower()]) if match else None


def _parse_date(text: str, zone: str) -> datetime | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        at = time.fromisoformat((match[2] or "0:00").zfill(5))
        return datetime.combine(date.fromisoformat(match[1]), at, load_time_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February; a date near year 1 or 9999 that leaves the calendar in UTC
        return None


def format_end(until: datetime, zone: str) -> str:
    """Return "until 12 March 2027, 14:00 UTC", or "until a moderator ends it" for `FOREVER`."""
    return "until a moderator ends it" if until >= FOREVER else f"until {format_moment(until, zone)}"
