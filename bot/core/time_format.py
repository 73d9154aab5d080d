"""When something refills, as a person reads it: in their workspace's time zone, where it has set one."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def format_weekday(at: datetime, zone: str) -> str:
    """A moment within a week: "Saturday at 01:00 (Europe/Berlin)"."""
    there = at.astimezone(_load_time_zone(zone))
    return f"{there:%A at %H:%M} {_zone_name(there, zone)}"


def format_date(at: datetime, zone: str) -> str:
    """A moment further away: "on 01 December at 00:00 UTC"."""
    there = at.astimezone(_load_time_zone(zone))
    return f"on {there:%d %B at %H:%M} {_zone_name(there, zone)}"


def format_time(at: datetime, zone: str) -> str:
    """The time of day alone: "00:00 UTC"."""
    there = at.astimezone(_load_time_zone(zone))
    return f"{there:%H:%M} {_zone_name(there, zone)}"


def _zone_name(there: datetime, zone: str) -> str:
    return "UTC" if there.tzinfo is UTC else f"({zone})"


def _load_time_zone(zone: str) -> tzinfo:
    # A name that this machine's time zone data does not know (any more) is no reason to refuse an answer.
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
