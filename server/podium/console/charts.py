"""Charts as SVG, without scripts; the colours come from the style sheet. Pure.

Charts are hidden from screen readers (``aria-hidden``); pages add a table with the same numbers. The shapes
stretch with the page. Their labels are HTML beside them, so that text keeps its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 160
BAR_MAX = 48.0
"""Greatest width of a bar, so that a single value does not fill the chart."""
STEPS = 4
"""Approximate number of steps of the value axis."""
LABELS = 5
"""Most labels below a chart; on a phone every second one is shown."""
MANY = 20
"""With so many points, a label that is off by half a point is not noticed."""
CELL, GAP = 11, 2
WEEK = 7
YEAR_COLUMNS = 4
"""Columns that a month's name with its year takes. Without the year it always fits into its month."""
LEFT, TOP = 26, 14
"""Space of a calendar for the names of weekdays and months."""


class Point(NamedTuple):
    """A value with its label."""

    label: str
    value: float


class _Axis(NamedTuple):
    """An axis with round values from ``low`` to ``high``, ``step`` apart."""

    low: float
    high: float
    step: float

    def y(self, value: float) -> float:
        return (self.high - value) / (self.high - self.low) * HEIGHT

    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.high - i * self.step for i in range(count + 1)]


def bars(points: Sequence[Point], names: Sequence[str] | None = None) -> Markup:
    """Return a bar chart from 0 up or down. ``names`` are written below the bars where the labels are too long."""
    if not points:
        return Markup("")
    values = [point.value for point in points]
    if not any(values):
        return _only_zeros()
    axis = _axis(min(0, *values), max(0, *values), whole=_are_whole(values))
    room = WIDTH / len(points)
    width = min(BAR_MAX, room * 0.8)
    zero = axis.y(0)
    shapes = []
    for at, (label, value) in enumerate(points):
        # At least one unit high, so that the smallest value is visible.
        height = max(1.0, abs(axis.y(value) - zero)) if value else 0.0
        kind, y = ("bar down", zero) if value < 0 else ("bar", zero - height)
        shapes.append(
            f'<rect class="{kind}" x="{(at + 0.5) * room - width / 2:.1f}" y="{y:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}"><title>{escape(label)}: {text(value)}</title></rect>'
        )
    return _plot("".join(shapes), axis, names or [point.label for point in points])


def line(points: Sequence[Point]) -> Markup:
    """Return a line chart. Its axis begins at 0 unless the line would be flat then; a note says so."""
    if len(points) < 2:
        return Markup("")
    values = [point.value for point in points]
    if not any(values):
        return _only_zeros()
    low, high = min(values), max(values)
    # Values far from 0 that hardly differ would be a flat line on an axis from 0.
    far = low > 0 and high - low < low / 2
    axis = _axis(low if far else min(0, low), high if far else max(0, high), whole=_are_whole(values))
    step = WIDTH / (len(points) - 1)
    at = " ".join(f"{i * step:.1f},{axis.y(value):.1f}" for i, value in enumerate(values))
    chart = _plot(f'<polyline class="line" points="{at}"/>', axis, [point.label for point in points])
    if axis.low > 0:
        chart += Markup('<p class="hint" aria-hidden="true">The axis begins at {}, not at 0.</p>').format(
            text(axis.low)
        )
    return chart


def spark(values: Sequence[float], *, falling_is_good: bool = False) -> Markup:
    """Return a sparkline. With ``falling_is_good`` the least value is at the top, as for ranks."""
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


def text(value: float) -> str:
    """Format a number with at most three decimals, or six where it is small: 1,234.5; 0.00025."""
    shown = f"{value:,.{3 if abs(value) >= 0.1 else 6}f}"
    return shown.rstrip("0").rstrip(".")


def short(value: float) -> str:
    """Format a number briefly, large ones with a suffix: 250,000; 1.25 M; 2 bn."""
    for size, name in ((1e12, "tn"), (1e9, "bn"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:,.2f}".rstrip("0").rstrip(".") + f"\N{NO-BREAK SPACE}{name}"
    return text(value)


def _axis(low: float, high: float, *, whole: bool) -> _Axis:
    """Return an axis around ``low`` and ``high``; with ``whole`` all of its values are whole numbers."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** floor(log10(span / STEPS))
    step = next(size * by for by in (1, 2, 5, 10) if size * by >= span / STEPS * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = floor(low / step), ceil(high / step)
    return _Axis(first * step, max(last, first + 1) * step, step)


def _are_whole(values: Sequence[float]) -> bool:
    return all(value == round(value) for value in values)


def _plot(shapes: str, axis: _Axis, labels: Sequence[str]) -> Markup:
    """Return the shapes with the values of the axis and the labels of the points."""
    lines = "".join(
        f'<line class="{"zero" if abs(tick) < axis.step / 2 else "grid-line"}" '
        f'x1="0" x2="{WIDTH}" y1="{axis.y(tick):.1f}" y2="{axis.y(tick):.1f}"/>'
        for tick in axis.ticks()
    )
    svg = _svg(lines + shapes, WIDTH, HEIGHT, "plot", stretched=True)
    names = Markup("").join(Markup("<span>{}</span>").format(labels[at]) for at in _labelled(len(labels)))
    single = " one" if len(labels) == 1 else ""
    return Markup(
        '<div class="plotted" aria-hidden="true"><div class="values">{}</div>{}<div class="names{}">{}</div></div>'
    ).format(
        Markup("").join(Markup("<span>{}</span>").format(value) for value in _axis_labels(axis)),
        svg,
        single,
        names,
    )


def _axis_labels(axis: _Axis) -> list[str]:
    """Return the labels of an axis, in full where the brief ones would not differ.

    Values are rounded first: adding up fractions yields numbers like 0.30000000000000004.
    """
    ticks = [round(tick, max(0, 1 - floor(log10(axis.step)))) + 0.0 for tick in axis.ticks()]
    brief = [short(tick) for tick in ticks]
    return brief if len(set(brief)) == len(ticks) else [text(tick) for tick in ticks]


def _labelled(count: int) -> list[int]:
    """Return the indices of the points with labels: the first, the last, and evenly spaced ones between.

    The labels are evenly spaced on the page, so the points must be, too; with ``MANY`` points, rounding is not
    noticed.
    """
    for labels in (LABELS, 3, 2):
        if count >= labels and (count >= MANY or (count - 1) % (labels - 1) == 0):
            return [round(i * (count - 1) / (labels - 1)) for i in range(labels)]
    return [0]


def _only_zeros() -> Markup:
    return Markup('<p class="hint">All values are 0.</p>')


class Day(NamedTuple):
    """A day of a calendar: ``kind`` is a class of the style sheet, ``text`` its meaning."""

    day: date
    kind: str
    text: str


def calendar(days: Sequence[Day], today: date | None = None) -> Markup:
    """Return a calendar with a column for each week, Monday at the top; ``today`` is marked."""
    if not days:
        return Markup("")
    first = days[0].day - timedelta(days=days[0].day.weekday())
    shapes = [
        f'<text class="weekday" x="0" y="{row * (CELL + GAP) + TOP + CELL - 2}">{name}</text>'
        for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
    ]
    shapes += [
        f'<text class="month" x="{column * (CELL + GAP) + LEFT}" y="10">{name}</text>'
        for column, name in _months(days, first)
    ]
    for day, kind, meaning in days:
        column, row = divmod((day - first).days, WEEK)
        x, y = column * (CELL + GAP) + LEFT, row * (CELL + GAP) + TOP
        now = " today" if day == today else ""
        shapes.append(
            f'<rect class="day {kind}{now}" x="{x}" y="{y}" width="{CELL}" height="{CELL}" rx="2">'
            f"<title>{day.isoformat()}{', today' if now else ''}: {escape(meaning)}</title></rect>"
        )
    columns = (days[-1].day - first).days // WEEK + 1
    return _svg("".join(shapes), columns * (CELL + GAP) + LEFT + 36, WEEK * (CELL + GAP) + TOP, "calendar")


def _months(days: Sequence[Day], first: date) -> list[tuple[int, str]]:
    """Return the columns with a month's name: the first one, and those with the first Monday of a month.

    The year is added where it changes. The first name is left out where it would overlap the next one.
    """
    found = [(0, days[0].day)]
    for before, one in pairwise(day.day for day in days if day.day == days[0].day or day.day.weekday() == 0):
        if one.month != before.month or one.year != before.year:
            found.append(((one - first).days // WEEK, one))
    if len(found) > 1 and found[1][0] < YEAR_COLUMNS:
        del found[0]
    year, named = 0, []
    for column, day in found:
        named.append((column, f"{day:%b %Y}" if day.year != year else f"{day:%b}"))
        year = day.year
    return named


def _svg(inside: str, width: float, height: float, kind: str, *, stretched: bool = False) -> Markup:
    # Safe: all text from outside was escaped by the callers.
    fit = ' preserveAspectRatio="none"' if stretched else ""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg class="{kind}"{fit} {size} aria-hidden="true" focusable="false">{inside}</svg>')  # noqa: S704
