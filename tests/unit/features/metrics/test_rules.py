"""How a metric counts."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.errors import Unprocessable
from server.features.metrics.model import Metric
from server.features.metrics.rules import add, to_units


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
    ],
)
def test_to_units(value: float, decimals: int, units: int) -> None:
    assert to_units(metric(decimals), value) == units


@given(st.integers(-(10**12), 10**12), st.integers(0, 3))
def test_what_has_few_enough_decimals_is_counted_exactly(units: int, decimals: int) -> None:
    value = float(Decimal(units).scaleb(-decimals))
    expected = int(Decimal(repr(value)).scaleb(decimals).quantize(Decimal(1), ROUND_HALF_UP))
    assert to_units(metric(decimals), value) == expected == units


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e308, 1.1e15, 1e13])
def test_to_units_refuses_what_is_not_exact(value: float) -> None:
    with pytest.raises(Unprocessable, match="^value must"):
        to_units(metric(3), value)


def test_add_refuses_a_total_that_is_not_exact() -> None:
    assert add(metric(0), 2**53 - 1, 1) == 2**53
    with pytest.raises(Unprocessable, match="^the total of words"):
        add(metric(0), 2**53, 1)
