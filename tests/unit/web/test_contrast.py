"""The widget's colours: what is written on a row can be read on it while the row flashes, too (WCAG AA, 4.5:1)."""

from __future__ import annotations

import re
from itertools import product

import pytest

from podium.app import web_folder

Colour = tuple[float, float, float]

STYLE = (web_folder() / "widget" / "style.js").read_text()
PAIRS = {
    name: both for name, *both in re.findall(r"--_(\w+): var\([^,]*, light-dark\(#(\w{6}), #(\w{6})\)\)", STYLE)
}
TEXTS = ("text", "muted", "accent", "up", "down")


def colour(name: str, mode: int) -> Colour:
    red, green, blue = bytes.fromhex(PAIRS[name][mode])
    return red, green, blue


def luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("mode", "written", "flashing"), [*product((0, 1), TEXTS, ("up", "down", "accent"))])
def test_a_row_that_flashes_can_be_read(mode: int, written: str, flashing: str) -> None:
    found = re.search(r"--_tint: (\d+)%", STYLE)
    assert found is not None
    share = int(found[1]) / 100
    ground, tint = colour("bg", mode), colour(flashing, mode)
    red, green, blue = (share * one + (1 - share) * other for one, other in zip(tint, ground, strict=True))
    assert contrast(colour(written, mode), (red, green, blue)) >= 4.5
