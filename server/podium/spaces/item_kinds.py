"""The kinds of catalog items: their names in the database, fields of the catalog, and scopes of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from podium.game.achievements.model import Achievement
from podium.game.catalog import Catalog
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.points.model import Boost, Level, PointsSystem, Trigger
from podium.game.space_settings import SpaceSettings
from podium.game.streaks.model import StreakSettings
from podium.game.users.model import Attribute

Item = (
    Metric
    | Attribute
    | Leaderboard
    | StreakSettings
    | Achievement
    | PointsSystem
    | Trigger
    | Level
    | Boost
    | SpaceSettings
)
T = TypeVar("T", bound=Item)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of item, with its ``name`` in the database and the ``field`` of the catalog that holds the items."""

    name: str
    field: str
    type: type[T]

    def of(self, catalog: Catalog) -> tuple[T, ...]:
        """Return the items of this kind, in the order of creation."""
        items: tuple[T, ...] = getattr(catalog, self.field)
        return items


METRIC = Kind("metric", "metrics", Metric)
ATTRIBUTE = Kind("attribute", "attributes", Attribute)
LEADERBOARD = Kind("leaderboard", "leaderboards", Leaderboard)
STREAKS = Kind("streak settings", "streaks", StreakSettings)
"""At most one of a space."""
ACHIEVEMENT = Kind("achievement", "achievements", Achievement)
POINTS = Kind("points system", "points", PointsSystem)
TRIGGER = Kind("points trigger", "triggers", Trigger)
LEVEL = Kind("points level", "levels", Level)
BOOST = Kind("points boost", "boosts", Boost)
SETTINGS = Kind("settings", "settings", SpaceSettings)
"""At most one of a space."""

KINDS: tuple[Kind[Any], ...] = (
    METRIC,
    ATTRIBUTE,
    LEADERBOARD,
    STREAKS,
    ACHIEVEMENT,
    POINTS,
    TRIGGER,
    LEVEL,
    BOOST,
    SETTINGS,
)


def scope(item: Item) -> str:
    """Return the scope within which an item's key is unique among its kind."""
    if isinstance(item, Level):
        return item.system_id
    return item.type if isinstance(item, Attribute) else ""
