from __future__ import annotations

import pytest

from loadtest.timing import rank_ms
from podium.http.timing import rank_timing


def test_what_the_server_says_is_understood() -> None:
    assert rank_ms(rank_timing(0.00184).decode()) == 1.84


@pytest.mark.parametrize(
    ("header", "found"),
    [("cache;desc=hit, rank;dur=12", 12.0), ("rank", None), ("frank;dur=3", None), ("", None), (None, None)],
)
def test_a_proxys_timings_stand_beside_it(header: str | None, found: float | None) -> None:
    assert rank_ms(header) == found
