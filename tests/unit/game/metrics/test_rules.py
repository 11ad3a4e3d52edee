"""How a metric counts."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.errors import Unprocessable
from podium.game.metrics.model import Metric
from podium.game.metrics.rules import add, to_units


def metric(decimals: int) -> Metric:
    return Metric("id", 1, "words", "Words", decimals=decimals)


@pytest.mark.parametrize(
    ("value", "decimals", "units"),
    [
        (750, 3, 750_000),
        (0.1, 3, 100),
        (0.0005, 3, 1),
        (-0.0005, 3, -1),
        (2.5, 0, 3),
        (-2.5, 0, -3),
        (1.23456789, 6, 1_234_568),
        (1.005, 2, 101),
        (-1.005, 2, -101),
        (0.285, 2, 29),
        (8.5e-06, 6, 9),
        (1_000_000_000.0000005, 6, 1_000_000_000_000_001),
        (-0.0, 3, 0),
        (4.9e-324, 6, 0),
    ],
)
def test_to_units(value: float, decimals: int, units: int) -> None:
    assert to_units(metric(decimals), value) == units


@given(st.integers(-(10**12), 10**12), st.integers(0, 3))
def test_what_has_few_enough_decimals_is_counted_exactly(units: int, decimals: int) -> None:
    value = float(Decimal(units).scaleb(-decimals))
    expected = int(Decimal(repr(value)).scaleb(decimals).quantize(Decimal(1), ROUND_HALF_UP))
    assert to_units(metric(decimals), value) == expected == units


HALVES = st.integers(-(10**15) // 2, 10**15 // 2).map(lambda n: 2 * n + 1)
"""Odd numbers: each is a half of something."""


@given(HALVES, st.integers(0, 6))
def test_a_half_is_what_its_text_says(odd: int, decimals: int) -> None:
    text = f"{(Decimal(odd) / 2).scaleb(-decimals):f}"
    exact = int((Decimal(text) * 10**decimals).to_integral_value(ROUND_HALF_UP))
    assert to_units(metric(decimals), msgspec.json.decode(text, type=float)) == exact


@pytest.mark.parametrize("decimals", range(7))
def test_every_small_half_is_what_its_text_says(decimals: int) -> None:
    for n in range(20_000):
        text = f"{(Decimal(n) + Decimal('0.5')).scaleb(-decimals):f}"
        assert to_units(metric(decimals), float(text)) == n + 1
        assert to_units(metric(decimals), -float(text)) == -(n + 1)


@given(st.floats(-1e9, 1e9), st.integers(0, 6))
def test_any_value_is_what_its_text_says(value: float, decimals: int) -> None:
    if len(repr(value).partition("e")[0].lstrip("-0.").replace(".", "")) > 15:
        value = float(f"{value:.15g}")  # more digits than a double keeps
    exact = Decimal(repr(value)).scaleb(decimals).to_integral_value(ROUND_HALF_UP)
    assert to_units(metric(decimals), value) == exact


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e308, 1.1e15, 1e13])
def test_to_units_refuses_what_is_not_exact(value: float) -> None:
    with pytest.raises(Unprocessable, match="^value must"):
        to_units(metric(3), value)


def test_add_refuses_a_total_that_is_not_exact() -> None:
    assert add(metric(0), 2**53 - 2, 1) == 2**53 - 1
    with pytest.raises(Unprocessable, match="^the total of words"):
        add(metric(0), 2**53 - 1, 1)
