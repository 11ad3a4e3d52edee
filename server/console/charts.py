"""Charts as SVG, made here: no script, no colour but the page's own. Pure.

Each is a picture for the eye (``aria-hidden``); the page puts the same numbers into a table behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 160
CELL, GAP = 11, 2
WEEK = 7


class Point(NamedTuple):
    """A value and what it belongs to."""

    label: str
    value: float


def bars(points: Sequence[Point]) -> Markup:
    """A bar for each value, from 0."""
    if not points:
        return Markup("")
    most = max(1e-9, *(abs(point.value) for point in points))
    step = WIDTH / len(points)
    shapes = []
    for at, (label, value) in enumerate(points):
        height = max(1.0, abs(value) / most * (HEIGHT - 8)) if value else 0.0
        kind = "bar down" if value < 0 else "bar"
        shapes.append(
            f'<rect class="{kind}" x="{at * step + step * 0.1:.1f}" y="{HEIGHT - height:.1f}" '
            f'width="{step * 0.8:.1f}" height="{height:.1f}" rx="1">'
            f"<title>{escape(label)}: {value:,g}</title></rect>"
        )
    return _svg("".join(shapes), WIDTH, HEIGHT, "chart", stretched=True) + _ends(points)


def line(points: Sequence[Point]) -> Markup:
    """A line through the values, from the least to the greatest."""
    if len(points) < 2:
        return Markup("")
    low, high = min(point.value for point in points), max(point.value for point in points)
    span = (high - low) or 1
    step = WIDTH / (len(points) - 1)
    at = " ".join(
        f"{i * step:.1f},{HEIGHT - 6 - (point.value - low) / span * (HEIGHT - 12):.1f}"
        for i, point in enumerate(points)
    )
    return _svg(f'<polyline class="line" points="{at}"/>', WIDTH, HEIGHT, "chart", stretched=True) + _ends(points)


def spark(values: Sequence[float], *, falling_is_good: bool = False) -> Markup:
    """A small line; with ``falling_is_good`` the least value is at the top, as for ranks."""
    if len(values) < 2:
        return Markup("")
    wide, high = 96, 24
    low, top = min(values), max(values)
    span = (top - low) or 1
    points = []
    for i, value in enumerate(values):
        share = (value - low) / span
        y = share if falling_is_good else 1 - share
        points.append(f"{i * wide / (len(values) - 1):.1f},{3 + y * (high - 6):.1f}")
    return _svg(f'<polyline class="line" points="{" ".join(points)}"/>', wide, high, "spark")


def _ends(points: Sequence[Point]) -> Markup:
    """What the first and the last value belong to, and the greatest, below a chart."""
    most = max(point.value for point in points)
    return Markup(
        '<p class="ends" aria-hidden="true"><span>{}</span><span>at most {}</span><span>{}</span></p>'
    ).format(points[0].label, f"{most:,g}", points[-1].label)


class Day(NamedTuple):
    """A day of a calendar: ``kind`` is a class of the style sheet, ``text`` what it means."""

    day: date
    kind: str
    text: str


def calendar(days: Sequence[Day]) -> Markup:
    """Days as columns of weeks, from Monday down."""
    if not days:
        return Markup("")
    first = days[0].day - timedelta(days=days[0].day.weekday())
    shapes, month, named = [], first.month, -3
    for day, kind, text in days:
        column, row = divmod((day - first).days, WEEK)
        x, y = column * (CELL + GAP), row * (CELL + GAP) + 14
        if day.month != month and row == 0 and column - named > 2:  # else names would overlap
            month, named = day.month, column
            shapes.append(f'<text class="month" x="{x}" y="10">{day:%b}</text>')
        shapes.append(
            f'<rect class="day {kind}" x="{x}" y="{y}" width="{CELL}" height="{CELL}" rx="2">'
            f"<title>{day.isoformat()}: {escape(text)}</title></rect>"
        )
    columns = (days[-1].day - first).days // WEEK + 1
    return _svg("".join(shapes), columns * (CELL + GAP) + 12, WEEK * (CELL + GAP) + 14, "calendar")


def _svg(inside: str, width: float, height: float, kind: str, *, stretched: bool = False) -> Markup:
    # What is not ours in it has been escaped above.
    fit = ' preserveAspectRatio="none"' if stretched else ""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg class="{kind}"{fit} {size} aria-hidden="true" focusable="false">{inside}</svg>')  # noqa: S704
