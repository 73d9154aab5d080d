"""Format moments for people, and parse what moderators type, in the time zone that the workspace set."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.errors import BadOption


def load_time_zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name, or UTC for a name that this machine does not know."""
    # Zone data differs between machines: a name that was valid on another machine must not fail a reply here.
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def format_weekday(at: datetime, zone: str) -> str:
    """Return a moment within a week: "Saturday at 01:00 (Europe/Berlin)"."""
    local = at.astimezone(load_time_zone(zone))
    return f"{local:%A at %H:%M} {_format_zone(local, zone)}"


def format_date(at: datetime, zone: str) -> str:
    """Return a moment within a year: "on 01 December at 00:00 UTC"."""
    local = at.astimezone(load_time_zone(zone))
    return f"on {local:%d %B at %H:%M} {_format_zone(local, zone)}"


def format_moment(at: datetime, zone: str) -> str:
    """Return a moment with its year: "12 March 2027, 14:00 UTC"."""
    local = at.astimezone(load_time_zone(zone))
    return f"{local:%d %B %Y, %H:%M} {_format_zone(local, zone)}"


def format_time(at: datetime, zone: str) -> str:
    """Return the time of day alone: "00:00 UTC"."""
    local = at.astimezone(load_time_zone(zone))
    return f"{local:%H:%M} {_format_zone(local, zone)}"


def _format_zone(local: datetime, zone: str) -> str:
    return "UTC" if local.tzinfo is UTC else f"({zone})"


FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a block without an end."""

_DURATION = re.compile(r"(\d{1,5})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_MINUTES_PER_UNIT = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{1,2}:\d{2}))?")
_MAX_DURATION = timedelta(days=3660)


def parse_end(text: str, now: datetime, zone: str) -> datetime:
    """Return the end of a block in UTC, `FOREVER` for an empty text: a moderator types a date, or a span such as `7d`.

    Raise `BadOption` with the accepted forms.
    """
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


def format_length(seconds: float) -> str:
    """Return the length of a recording: "0:12", "1:02:30"."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
