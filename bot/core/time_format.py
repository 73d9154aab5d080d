"""Format moments for people, in the time zone that their workspace set."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


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
