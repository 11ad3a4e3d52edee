"""Two small SVG pictures, readable on light and dark pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 640
LEFT, RIGHT = 190, 90
"""Room for labels and numbers."""
BAR = 30

_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.bar { fill: #2f6fdb } .aim { stroke: #c0392b; stroke-width: 2; stroke-dasharray: 4 3 }
.line { fill: none; stroke: #2f6fdb; stroke-width: 1.5 } .axis { stroke: #8a929b; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .bar { fill: #6ea2ff } .line { stroke: #6ea2ff } .aim { stroke: #ff8a7a }
}
</style>"""


def bars(title: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """Horizontal bars: label, value, and the target to mark if there is one."""
    most = max([value for _, value, _ in rows] + [aim or 0 for *_, aim in rows]) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = []
    for i, (label, value, aim) in enumerate(rows):
        y = 40 + i * BAR
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="bar" x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="20" rx="2"/>'
            f'<text x="{LEFT + value * scale + 6:.1f}" y="{y + 15}">{value:,.0f}</text>'
        )
        if aim:
            x = LEFT + aim * scale
            parts.append(f'<line class="aim" x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + 23}"/>')
    return _svg(title, 50 + len(rows) * BAR, parts)


def line(title: str, points: Sequence[tuple[float, float]], limit: float, unit: str) -> str:
    """A line over time in seconds, with the limit marked."""
    left, top, height = 60, 40, 160
    last = max((x for x, _ in points), default=1) or 1
    most = max([limit, *(y for _, y in points)]) * 1.1
    width = WIDTH - left - 20

    def y_of(value: float) -> float:
        return top + height * (1 - value / most)

    path = " ".join(f"{left + x / last * width:.1f},{y_of(y):.1f}" for x, y in points)
    base = top + height
    parts = [
        f'<line class="axis" x1="{left}" y1="{base}" x2="{left + width}" y2="{base}"/>',
        f'<line class="aim" x1="{left}" y1="{y_of(limit):.1f}" x2="{left + width}" y2="{y_of(limit):.1f}"/>',
        f'<text x="{left - 8}" y="{y_of(limit) + 4:.1f}" text-anchor="end">{limit:g} {unit}</text>',
        f'<text x="{left - 8}" y="{base + 4}" text-anchor="end">0</text>',
        f'<text x="{left + width}" y="{base + 20}" text-anchor="end">{last:,.0f} s</text>',
        f'<polyline class="line" points="{path}"/>',
    ]
    return _svg(title, base + 35, parts)


def _svg(title: str, height: int, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join(
        [head, _STYLE, f'<text x="10" y="22" font-weight="600">{escape(title)}</text>', *parts, "</svg>\n"]
    )
