"""How many boards one event may move."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec import structs

from podium.game.board_limits import MOVES_MAX, check_moves, moves_over
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.points.model import PointsSystem, Trigger
from podium.game.streaks.model import NO_SETTINGS, MetricThreshold

METRICS = (Metric("m", 1, "words", "Words"), Metric("n", 2, "pages", "Pages"))
SYSTEM = PointsSystem("p", 3, "xp", "XP")


def boards(count: int, **fields: Any) -> tuple[Leaderboard, ...]:
    common: dict[str, Any] = {"metric_id": "m", "start": date(2026, 1, 1), "status": "active", **fields}
    return tuple(Leaderboard(id=f"{n}", number=10 + n, key=f"b{n}", name="B", **common) for n in range(count))


def trigger(type_: str, metric: str | None = None, status: str = "active") -> Trigger:
    return Trigger(
        id=type_,
        number=5,
        key=type_,
        system_id="p",
        type=type_,  # type: ignore[arg-type] # the tests' own words
        points=1,
        status=status,  # type: ignore[arg-type] # the same
        metric_id=metric,
    )


def catalog(*leaderboards: tuple[Leaderboard, ...], **fields: Any) -> Catalog:
    return Catalog(1, metrics=METRICS, leaderboards=sum(leaderboards, ()), points=(SYSTEM,), **fields)


def test_what_an_event_moves() -> None:
    assert moves_over(catalog(boards(MOVES_MAX))) == {}
    assert moves_over(catalog(boards(MOVES_MAX + 1))) == {"words": MOVES_MAX + 1}
    assert moves_over(catalog(boards(51, group_by="city"))) == {"words": 102}
    assert moves_over(catalog(boards(MOVES_MAX + 1, breakdown_attributes=("city",)))) == {"words": 101}
    for status in ("inactive", "finished"):
        assert moves_over(catalog(boards(MOVES_MAX + 1, status=status))) == {}


def test_only_what_is_open_on_one_day_counts() -> None:
    earlier = boards(60, end=date(2026, 6, 30))
    assert moves_over(catalog(earlier, boards(60, start=date(2026, 7, 1)))) == {}
    assert moves_over(catalog(earlier, boards(60, start=date(2026, 6, 30)))) == {"words": 120}
    final = boards(60, end=date(2026, 6, 30), final_until=date(2026, 6, 30))
    assert moves_over(catalog(final, boards(60))) == {}
    assert moves_over(catalog(boards(101, end=date.max))) == {"words": 101}


def test_what_points_and_streaks_bring_along() -> None:
    own = boards(60)
    points = boards(60, rank_by="points", metric_id=None, points_system_id="p")
    streak = boards(60, rank_by="streak", metric_id=None)
    assert moves_over(catalog(own, points)) == {}
    assert moves_over(catalog(own, points, triggers=(trigger("metric", "m"),))) == {"words": 120}
    assert moves_over(catalog(own, points, triggers=(trigger("metric", "n"),))) == {}
    assert moves_over(catalog(own, points, triggers=(trigger("metric", "m", "inactive"),))) == {}
    assert moves_over(catalog(own, points, triggers=(trigger("streak"),))) == {}
    for type_ in ("achievement", "time", "user_creation"):
        assert moves_over(catalog(own, points, triggers=(trigger(type_),))) == {"words": 120}
    extending = (structs.replace(NO_SETTINGS, metrics=(MetricThreshold("n", 1),)),)
    assert moves_over(catalog(own, streak, streaks=extending)) == {}
    assert moves_over(catalog(points, streak, streaks=extending, triggers=(trigger("streak"),))) == {"pages": 120}


def test_a_catalog_beyond_the_limit_may_shrink_and_not_grow() -> None:
    large = catalog(boards(150))
    check_moves(large, large)
    check_moves(large, catalog(boards(149)))
    with pytest.raises(
        Unprocessable, match=r"^one event of the metric words would move 151 boards: 100 is the most"
    ):
        check_moves(large, catalog(boards(151)))
