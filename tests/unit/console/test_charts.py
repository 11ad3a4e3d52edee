"""Charts: round axes, zero lines, what is said in place of a picture, the names around a calendar."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest

from podium.console.charts import Day, Point, bars, calendar, line, short, spark, text


def points(*values: float) -> list[Point]:
    return [Point(f"day {i}", value) for i, value in enumerate(values)]


def axis(chart: str) -> list[str]:
    values = chart.partition('<div class="values">')[2].partition("</div>")[0]
    return re.findall(r"<span>(.*?)</span>", values)


def names(chart: str) -> list[str]:
    below = re.search(r'<div class="names[^>]*>(.*?)</div>', chart)
    assert below is not None
    return re.findall(r"<span>(.*?)</span>", below[1])


def rects(chart: str) -> list[tuple[str, float, float, float]]:
    """Class, y, width, height of each bar."""
    found = re.findall(r'<rect class="(.*?)" x=".*?" y="(.*?)" width="(.*?)" height="(.*?)"', chart)
    return [(kind, float(y), float(width), float(height)) for kind, y, width, height in found]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1,), ["1", "0"]),
        ((3, 1), ["3", "2", "1", "0"]),
        ((112, 31), ["150", "100", "50", "0"]),
        ((0.3, 0.1), ["0.3", "0.2", "0.1", "0"]),
        ((0.0004,), ["0.0004", "0.0003", "0.0002", "0.0001", "0"]),
        ((250_000, 999_999), ["1\xa0M", "500,000", "0"]),
        ((12_345_678,), ["15\xa0M", "10\xa0M", "5\xa0M", "0"]),
        ((-42.5, 60), ["100", "50", "0", "-50"]),
        ((-7, -3), ["0", "-2", "-4", "-6", "-8"]),
    ],
)
def test_the_axis_of_bars_is_round_and_has_0(values: tuple[float, ...], expected: list[str]) -> None:
    assert axis(bars(points(*values))) == expected


def test_bars_stand_on_the_zero_line_or_hang_from_it() -> None:
    up, none, down = rects(bars(points(50, 0, -50)))
    assert up == ("bar", 0.0, up[2], 80.0)
    assert none[3] == 0
    assert down == ("bar down", 80.0, down[2], 80.0)
    assert re.search(r'class="zero" [^>]*y1="80.0"', bars(points(50, -50)))


def test_a_small_value_beside_a_great_one_can_be_seen() -> None:
    assert rects(bars(points(1, 1_000_000)))[0][3] == 1


def test_a_single_value_is_no_wall() -> None:
    [(_, _, width, _)] = rects(bars(points(5)))
    assert width <= 48
    assert names(bars(points(5))) == ["day 0"]


@pytest.mark.parametrize("chart", [bars, line])
def test_only_zeros_are_said(chart: object) -> None:
    assert chart(points(0, 0, 0)) == '<p class="hint">All values are 0.</p>'  # type: ignore[operator]


def test_nothing_makes_no_chart() -> None:
    assert bars([]) == line([]) == line(points(1)) == spark([1]) == calendar([]) == ""


def test_first_last_and_some_between_are_named() -> None:
    assert names(bars(points(*range(1, 31)))) == ["day 0", "day 7", "day 14", "day 22", "day 29"]
    assert names(bars(points(1, 2, 3))) == ["day 0", "day 1", "day 2"]
    assert names(bars(points(*range(1, 8)))) == ["day 0", "day 3", "day 6"]
    assert names(bars(points(1, 2, 3, 4))) == ["day 0", "day 3"]
    assert names(bars(points(1, 2))) == ["day 0", "day 1"]
    assert names(bars(points(1, 2), ["a", "b"])) == ["a", "b"]


def test_what_is_written_never_stretches() -> None:
    for chart in (bars(points(1, 2)), line(points(1, 2))):
        for svg in re.findall(r"<svg.*?</svg>", chart):
            assert "<text" not in svg or "preserveAspectRatio" not in svg
            assert 'aria-hidden="true"' in svg


def test_labels_are_escaped() -> None:
    chart = bars([Point("<b>", 1)])
    assert "<b>" not in chart
    assert chart.count("&lt;b&gt;") == 2  # in the title and below


def test_a_line_begins_at_0_or_says_so() -> None:
    near, far = line(points(40, 100)), line(points(1_000_000, 1_000_040))
    assert axis(near)[-1] == "0"
    assert "begins at" not in near
    assert axis(far)[-1] == "1,000,000"
    assert "The axis begins at 1,000,000, not at 0." in far
    assert axis(line(points(1_000.5, 1_001.5)))[-2:] == ["1,001", "1,000.5"]
    assert axis(line(points(-5, 5)))[-1] == "-5"


def test_numbers_keep_their_digits() -> None:
    assert [text(value) for value in (12_345_670, 1234.5, -42.125, 0.00025, 70.0001, 0)] == [
        "12,345,670",
        "1,234.5",
        "-42.125",
        "0.00025",
        "70",
        "0",
    ]
    assert [short(value) for value in (0.25, 999_999, 1_250_000, -3e12)] == [
        "0.25",
        "999,999",
        "1.25\xa0M",
        "-3\xa0tn",
    ]


def test_a_spark_may_fall_to_the_top() -> None:
    assert 'points="0.0,21.0 96.0,3.0"' in spark([1, 2])
    assert 'points="0.0,21.0 96.0,3.0"' in spark([2, 1], falling_is_good=True)


def days(first: str, count: int) -> list[Day]:
    start = date.fromisoformat(first)
    return [Day(start + timedelta(days=i), "met", "extended") for i in range(count)]


def test_a_calendar_names_weekdays_months_and_years() -> None:
    shown = calendar(days("2026-11-02", 120))
    assert re.findall(r'class="weekday"[^>]*>(\w+)<', shown) == ["Mon", "Wed", "Fri"]
    assert re.findall(r'class="month"[^>]*>([\w ]+)<', shown) == ["Nov 2026", "Dec", "Jan 2027", "Feb", "Mar"]
    assert shown.count('<rect class="day met"') == 120


def test_names_of_months_never_overlap() -> None:
    for offset in range(60):
        first = date(2026, 10, 1) + timedelta(days=offset)
        shown = calendar(days(first.isoformat(), 150))
        places = [(int(x), len(name)) for x, name in re.findall(r'class="month" x="(\d+)"[^>]*>([\w ]+)<', shown)]
        for (x, length), (after, _) in pairwise(places):
            assert after - x >= (52 if length > 3 else 39), first


def test_today_is_marked_where_it_is_known() -> None:
    shown = calendar(days("2026-11-02", 7), date(2026, 11, 4))
    assert shown.count("today") == 2
    assert '<rect class="day met today"' in shown
    assert "2026-11-04, today: extended" in shown
    assert "today" not in calendar(days("2026-11-02", 7))
