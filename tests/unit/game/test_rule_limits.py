"""How many rules one event may have to look at."""

from __future__ import annotations

from typing import Any

import pytest

from podium.game.achievements.model import Achievement
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.metrics.model import Metric
from podium.game.points.model import Trigger
from podium.game.rule_limits import (
    ACHIEVEMENTS_MAX,
    COMPOSITES_MAX,
    TRIGGERS_MAX,
    check_achievements,
    check_triggers,
)

METRICS = (Metric("m", 1, "words", "Words"), Metric("n", 2, "pages", "Pages"))
NOTHING = Catalog(1, metrics=METRICS)


def triggers(count: int, **fields: Any) -> tuple[Trigger, ...]:
    common: dict[str, Any] = {"type": "metric", "metric_id": "m", "status": "active", **fields}
    return tuple(
        Trigger(id=f"{n}", number=10 + n, key=f"t{n}", system_id="p", points=1, **common) for n in range(count)
    )


def achievements(count: int, **fields: Any) -> tuple[Achievement, ...]:
    common: dict[str, Any] = {"trigger": "metric", "metric_id": "m", "status": "active", **fields}
    return tuple(Achievement(id=f"{n}", number=10 + n, key=f"a{n}", name=f"A{n}", **common) for n in range(count))


def of_triggers(*all_: tuple[Trigger, ...]) -> Catalog:
    return Catalog(1, metrics=METRICS, triggers=sum(all_, ()))


def of_achievements(*all_: tuple[Achievement, ...]) -> Catalog:
    return Catalog(1, metrics=METRICS, achievements=sum(all_, ()))


def test_triggers_with_one_cause() -> None:
    check_triggers(NOTHING, of_triggers(triggers(TRIGGERS_MAX), triggers(TRIGGERS_MAX, metric_id="n")))
    check_triggers(NOTHING, of_triggers(triggers(TRIGGERS_MAX + 1, status="inactive")))
    with pytest.raises(Unprocessable, match="the metric words would have 101 active triggers: 100 is the most"):
        check_triggers(NOTHING, of_triggers(triggers(TRIGGERS_MAX + 1)))
    for type_ in ("streak", "time", "user_creation"):
        with pytest.raises(Unprocessable, match=f"the cause {type_} would have 101"):
            check_triggers(NOTHING, of_triggers(triggers(TRIGGERS_MAX + 1, type=type_, metric_id=None)))


def test_achievements_with_one_cause() -> None:
    check_achievements(NOTHING, of_achievements(achievements(ACHIEVEMENTS_MAX)))
    check_achievements(NOTHING, of_achievements(achievements(ACHIEVEMENTS_MAX + 1, status="locked")))
    check_achievements(NOTHING, of_achievements(achievements(ACHIEVEMENTS_MAX + 1, trigger="api", metric_id=None)))
    with pytest.raises(Unprocessable, match="the metric words would have 1,001 active achievements: 1,000"):
        check_achievements(NOTHING, of_achievements(achievements(ACHIEVEMENTS_MAX + 1)))
    with pytest.raises(Unprocessable, match="the cause streak would have 1,001"):
        check_achievements(
            NOTHING, of_achievements(achievements(ACHIEVEMENTS_MAX + 1, trigger="streak", metric_id=None))
        )


def test_achievements_made_of_one() -> None:
    made: dict[str, Any] = {"trigger": "achievement", "metric_id": None, "achievement_ids": ("0", "1")}
    check_achievements(NOTHING, of_achievements(achievements(COMPOSITES_MAX, **made)))
    with pytest.raises(Unprocessable, match="the achievement A0 would have 101 active achievements made of it"):
        check_achievements(NOTHING, of_achievements(achievements(COMPOSITES_MAX + 1, **made)))


def test_a_catalog_beyond_the_limit_may_shrink_and_not_grow() -> None:
    large = of_triggers(triggers(150))
    check_triggers(large, large)
    check_triggers(large, of_triggers(triggers(149)))
    with pytest.raises(Unprocessable):
        check_triggers(large, of_triggers(triggers(151)))
