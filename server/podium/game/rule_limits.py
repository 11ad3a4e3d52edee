"""Limit the rules that one event has to evaluate: each costs time on every event of its metric, and awards write
rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable

TRIGGERS_MAX = 100
"""Most active triggers with one cause: a metric, an achievement, the streak, time, the user's creation. An event
that fires so many takes 0.4 ms and writes as many rows; 1,000 took 8 to 12 ms."""
ACHIEVEMENTS_MAX = 1_000
"""Most active achievements with one cause. So many of one metric cost an event 0.1 ms, 0.5 ms with filters by its
attributes, and 1.3 ms if all are completed at once."""
COMPOSITES_MAX = 100
"""Most active achievements that are made of the same one."""


def check_triggers(before: Catalog, after: Catalog) -> None:
    """Check that a new catalog doesn't let too many triggers fire together.

    A catalog that had too many ``before`` may stay as it is, since its users' events must count.

    Raises:
        Unprocessable: One cause has more active triggers than ``TRIGGERS_MAX``, and than before.
    """
    if len(after.triggers) > TRIGGERS_MAX:
        _check(after, "triggers", TRIGGERS_MAX, _triggers(before), _triggers(after))


def check_achievements(before: Catalog, after: Catalog) -> None:
    """Check that a new catalog doesn't let an event evaluate too many achievements. Raises as
    ``check_triggers``."""
    if len(after.achievements) > COMPOSITES_MAX:
        _check(after, "achievements", ACHIEVEMENTS_MAX, _achievements(before), _achievements(after))
        _check(after, "achievements made of it", COMPOSITES_MAX, _composites(before), _composites(after))


def _check(catalog: Catalog, rules: str, most: int, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    for cause, count in after.items():
        if count > max(most, before.get(cause, 0)):
            raise Unprocessable(
                f"{_name(catalog, cause)} would have {count:,} active {rules}: {most:,} is the most"
            )


def _triggers(catalog: Catalog) -> Counter[str]:
    """Return the number of active triggers, by id of the metric or achievement, or by type."""
    return Counter(
        one.metric_id or one.achievement_id or one.type for one in catalog.triggers if one.status == "active"
    )


def _achievements(catalog: Catalog) -> Counter[str]:
    """Return the number of active achievements, by id of the metric, or by kind."""
    return Counter(
        one.metric_id or one.trigger
        for one in catalog.achievements
        if one.status == "active" and one.trigger != "api"
    )


def _composites(catalog: Catalog) -> Counter[str]:
    """Return the number of active achievements that are made of an achievement, by its id."""
    return Counter(part for one in catalog.achievements if one.status == "active" for part in one.achievement_ids)


def _name(catalog: Catalog, cause: str) -> str:
    for metric in catalog.metrics:
        if metric.id == cause:
            return f"the metric {metric.key}"
    for achievement in catalog.achievements:
        if achievement.id == cause:
            return f"the achievement {achievement.name}"
    return f"the cause {cause}"
