"""Ends of blocks: durations and dates as moderators type them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import BadOption
from bot.core.time_format import FOREVER, format_end, format_moment, parse_end

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30m", timedelta(minutes=30)),
        ("45 min", timedelta(minutes=45)),
        ("2h", timedelta(hours=2)),
        ("1 hour", timedelta(hours=1)),
        ("7d", timedelta(days=7)),
        ("3 Days", timedelta(days=3)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_durations_are_parsed_in_all_spellings(text: str, duration: timedelta) -> None:
    assert parse_end(text, NOW, "UTC") == NOW + duration


@pytest.mark.parametrize("text", ["", "  ", "forever", "Always"])
def test_an_empty_text_means_for_ever(text: str) -> None:
    assert parse_end(text, NOW, "UTC") == FOREVER
    assert format_end(FOREVER, "Europe/Berlin") == "until a moderator ends it"


def test_a_date_means_midnight_in_the_workspaces_time_zone() -> None:
    assert parse_end("2027-03-01", NOW, "Europe/Berlin") == datetime(2027, 2, 28, 23, tzinfo=UTC)
    assert parse_end("2027-07-01T9:30", NOW, "Europe/Berlin") == datetime(2027, 7, 1, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2h30", "tomorrow", "2027-13-01", "2027-02-29", "12", "h", "٢h٢", "2027-03-01 25:00"])
def test_other_texts_are_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(BadOption, match="until is a span such as 2h"):
        parse_end(text, NOW, "UTC")


@given(st.text(max_size=30))
def test_any_text_is_a_future_end_or_is_refused(text: str) -> None:
    try:
        until = parse_end(text, NOW, "UTC")
    except BadOption:
        return
    assert until > NOW


def test_an_unknown_time_zone_means_utc() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd", "", "UTC"):
        assert format_moment(NOW, zone) == f"20 November 2026, 12:00 {'UTC'}"
