"""Instants, zones and local days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from podium.game import periods
from podium.game.errors import Unprocessable


@pytest.mark.parametrize(
    ("moment", "tz", "day"),
    [
        ("2026-11-23T23:59:59.999+00:00", None, date(2026, 11, 23)),
        ("2026-11-23T10:00:00+00:00", "Pacific/Kiritimati", date(2026, 11, 24)),  # UTC+14: midnight
        ("2026-11-23T09:59:59.999+00:00", "Pacific/Kiritimati", date(2026, 11, 23)),
        ("2026-11-23T10:59:59+00:00", "Pacific/Pago_Pago", date(2026, 11, 22)),  # UTC-11
        ("2026-03-29T00:59:59+00:00", "Europe/Berlin", date(2026, 3, 29)),  # the hour before the gap
        ("2026-10-24T21:59:59.999+00:00", "Europe/Berlin", date(2026, 10, 24)),  # +2
        ("2026-10-25T22:59:59+00:00", "Europe/Berlin", date(2026, 10, 25)),  # +1 since that morning
        ("2011-12-30T09:59:59+00:00", "Pacific/Apia", date(2011, 12, 29)),
        ("2011-12-30T10:00:00+00:00", "Pacific/Apia", date(2011, 12, 31)),  # Samoa had no 30 December
    ],
)
def test_local_day(moment: str, tz: str | None, day: date) -> None:
    instant = periods.instant(datetime.fromisoformat(moment))
    assert periods.local_day(instant, periods.zone(tz)) == day


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "UTC\x00", "europe/berlin"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(Unprocessable, match="^tz "):
        periods.zone(name)


def test_parse_instant_reads_offsets() -> None:
    assert periods.parse_instant("t", "2026-01-31T12:00:00+02:00") == periods.parse_instant(
        "t", "2026-01-31T10:00:00Z"
    )
    assert periods.iso(periods.parse_instant("t", "2026-01-31T12:00:00.123Z")) == "2026-01-31T12:00:00.123Z"


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T12:00:00", "soon", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z"]
)
def test_parse_instant_refuses(text: str) -> None:
    with pytest.raises(Unprocessable, match="^timestamp must"):
        periods.parse_instant("timestamp", text)


@pytest.mark.parametrize("text", ["2026-02-30", "2026-1-1", "20260101", "2026-W01-1", "2026-01-01T00:00:00Z", ""])
def test_parse_day_refuses(text: str) -> None:
    with pytest.raises(Unprocessable, match="^run must"):
        periods.parse_day("run", text)


def test_at_is_exact_to_the_millisecond() -> None:
    assert periods.at(1_795_435_200_123) == datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tz", "days"),
    [
        ("Pacific/Apia", {date(2011, 12, 30)}),
        ("Pacific/Fakaofo", {date(2011, 12, 30)}),
        ("Pacific/Kwajalein", {date(1993, 8, 21)}),
        ("Europe/Samara", set()),
        ("America/New_York", set()),
        (None, set()),
    ],
)
def test_dates_that_a_zone_never_had(tz: str | None, days: set[date]) -> None:
    assert {date.fromordinal(day) for day in periods.skipped_dates(tz)} == days


def test_no_zone_skips_a_date_in_the_years_that_are_lived_in() -> None:
    skipped = set().union(*(periods.skipped_dates(name) for name in periods.available_timezones()))
    assert {date.fromordinal(day).year for day in skipped} == {1993, 1994, 2011}
